"""The Lightning module: one network, its loss, its schedule, its figures."""

from typing import Annotated

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    field_validator,
)
from timm.optim import create_optimizer_v2, list_optimizers
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from ..runtime.preprocess import Preprocess
from .augment import Augment
from .data import Batch
from .distill import Distillation
from .figures import CalibrationError, MacroRecall
from .model import batch_norms, freeze_groups


class Optimizer(BaseModel):
    """Optimiser and schedule.

    Attributes:
        name: any optimiser that ``timm.optim.create_optimizer_v2`` knows.
        lr: peak learning rate.
        weight_decay: not applied to biases and norms.
        layer_decay: each group of layers learns this much slower than the one after it.
        warmup_epochs: linear rise to the peak, over half of all steps at most; a cosine to zero
            follows.
        label_smoothing: share of the target spread over all classes.
        freeze_batch_norm: keep the statistics that the network came with; right for fine-tuning on
            few photos.
        frozen_groups: so many of timm's layer groups (the stem and the stages), from the input on,
            keep their weights and statistics; what they compute costs no backward pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = "adamw"
    lr: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.05
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    warmup_epochs: NonNegativeFloat = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    freeze_batch_norm: bool = False
    frozen_groups: NonNegativeInt = 0

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name.lower() not in list_optimizers():
            raise ValueError(f"timm knows no optimizer {name!r}")
        return name


class BirdModule(L.LightningModule):
    """Trains a classifier on uint8 batches and measures it.

    Args:
        network: images ``[N, 3, H, W]`` to logits ``[N, classes]``.
        classes: number of classes.
        preprocess: for its mean and standard deviation.
        augment: for its mixing.
        optimizer: optimiser and schedule.
        distillation: if given, its loss replaces the labels', or joins it.
        seed: with the batch's number it seeds all that is random with a batch, so that a resumed
            run repeats what the interrupted one would have done.

    Raises:
        CheckpointError: more layer groups are to be frozen than the network has.
    """

    _mean: Tensor
    _std: Tensor

    def __init__(
        self,
        network: nn.Module,
        classes: int,
        preprocess: Preprocess,
        augment: Augment,
        optimizer: Optimizer,
        *,
        distillation: Distillation | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        freeze_groups(network, optimizer.frozen_groups)
        self._classes = classes
        self._augment = augment
        self._optimizer = optimizer
        self._distillation = distillation
        self._seed = seed
        self.register_buffer("_mean", _per_channel(preprocess.mean), persistent=False)
        self.register_buffer("_std", _per_channel(preprocess.std), persistent=False)
        figures = MetricCollection(
            {
                "top1": MulticlassAccuracy(classes, average="micro"),
                "top5": MulticlassAccuracy(classes, top_k=min(5, classes), average="micro"),
                "macro_recall": MacroRecall(classes),
                "ece": CalibrationError(classes),
            },
            # Grouping by what the first batch happens to give would merge top-1 and top-5.
            compute_groups=False,
        )
        self._figures = nn.ModuleDict(
            {part: figures.clone(prefix=f"{part}/") for part in ("val", "test")}
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, classes]`` of normalised images, float ``[N, 3, H, W]``."""
        logits: Tensor = self.network(images)
        return logits

    def train(self, mode: bool = True) -> "BirdModule":
        """Switch modes; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        for norm in batch_norms(self.network):
            if self._optimizer.freeze_batch_norm or not norm.weight.requires_grad:
                norm.eval()
        return self

    def on_train_start(self) -> None:
        """Choose the modes: Lightning leaves them as they came, which would thaw frozen norms."""
        self.train()

    def normalise(self, images: Tensor) -> Tensor:
        """``Preprocess.normalise`` on a torch batch, uint8 ``[N, 3, H, W]``."""
        scaled = (images.float() / 255 - self._mean) / self._std
        return scaled.contiguous(memory_format=torch.channels_last)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch."""
        # Of the step, which several batches may share, the number would repeat.
        number = self.current_epoch * int(self.trainer.num_training_batches) + batch_index
        torch.manual_seed(self._seed * 1_000_003 + number)
        images, labels = batch
        mixed, targets = self._augment.mix(self.normalise(images), labels, self._classes)
        logits = self(mixed)
        loss = self._loss(mixed, targets, logits)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(images))
        return loss

    def _loss(self, images: Tensor, targets: Tensor, logits: Tensor) -> Tensor:
        """Against the labels, the teachers, or both, in nats."""
        weight = 0.0 if self._distillation is None else self._distillation.weight
        loss = logits.new_zeros((), dtype=torch.float32)
        if self._distillation is not None:
            loss = loss + weight * self._distillation.loss(images, logits)
        if weight < 1:
            smoothing = self._optimizer.label_smoothing
            of_labels = F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)
            loss = loss + (1 - weight) * of_labels
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Add one batch to the validation figures."""
        self._measure("val", batch)

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Add one batch to the test figures."""
        self._measure("test", batch)

    def _measure(self, part: str, batch: Batch) -> None:
        images, labels = batch
        logits = self(self.normalise(images)).float()
        figures = self._figures[part]
        assert isinstance(figures, MetricCollection)
        figures.update(logits.softmax(dim=1), labels)
        self.log_dict(figures, batch_size=len(images), prog_bar=part == "val")
        self.log(f"{part}/loss", F.cross_entropy(logits, labels), batch_size=len(images))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Optimiser, with a warm-up and a cosine that move every step."""
        optimizer = create_optimizer_v2(
            self.network,
            opt=self._optimizer.name,
            lr=self._optimizer.lr,
            weight_decay=self._optimizer.weight_decay,
            layer_decay=self._optimizer.layer_decay,
        )
        steps = int(self.trainer.estimated_stepping_batches)
        epochs = max(1, self.trainer.max_epochs or 1)
        warmup = min(steps // 2, round(self._optimizer.warmup_epochs * steps / epochs))
        schedule = _warm_then_cosine(optimizer, warmup, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _per_channel(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def _warm_then_cosine(optimizer: torch.optim.Optimizer, warmup: int, steps: int) -> LRScheduler:
    cosine = CosineAnnealingLR(optimizer, T_max=max(1, steps - warmup))
    if warmup == 0:
        return cosine
    rise = LinearLR(optimizer, start_factor=1 / (warmup + 1), total_iters=warmup)
    return SequentialLR(optimizer, [rise, cosine], milestones=[warmup])
