"""What the module measures."""

import math

import lightning as L
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.utils.data import DataLoader

from birdedge.runtime.preprocess import Preprocess
from birdedge.train.augment import Augment
from birdedge.train.data import Batch
from birdedge.train.module import BirdModule, Optimizer

CLASSES = 8


class RedIsTheClass(nn.Module):
    """Names each picture by its red value alone, and takes the class after it for the next best."""

    def forward(self, images: Tensor) -> Tensor:
        red = (images[:, 0].mean(dim=(1, 2)) * 127.5 + 127.5).round().long()
        first = nn.functional.one_hot(red, CLASSES)
        second = nn.functional.one_hot((red + 1) % CLASSES, CLASSES)
        return 2.0 * first + 1.0 * second


class NotesItsChances(nn.Module):
    """Draws a number for each batch, as dropout does for each activation."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(CLASSES))
        self.drawn: list[float] = []

    def forward(self, images: Tensor) -> Tensor:
        self.drawn.append(float(torch.rand(())))
        return self.bias.expand(len(images), -1)


class NotesItsRates(L.Callback):
    """What each step is taken with."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self.seen.append(optimizer.param_groups[0]["lr"])


def pictures(reds: list[int]) -> Tensor:
    images = torch.zeros(len(reds), 3, 4, 4, dtype=torch.uint8)
    images[:, 0] = torch.tensor(reds, dtype=torch.uint8).view(-1, 1, 1)
    return images


def test_top5_counts_second_places_even_when_the_first_batch_has_none() -> None:
    plain = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    module = BirdModule(RedIsTheClass(), CLASSES, plain, Augment(), Optimizer())
    all_first = (pictures([0, 1, 2, 3]), torch.tensor([0, 1, 2, 3]))
    half_second = (pictures([0, 1, 2, 3]), torch.tensor([0, 1, 3, 4]))
    batches: DataLoader[Batch] = DataLoader([all_first, half_second], batch_size=None)  # type: ignore[arg-type]
    judge = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False,
    )  # fmt: skip

    figures = judge.validate(module, batches, verbose=False)[0]

    assert figures["val/top1"] == 0.75
    assert figures["val/top5"] == 1.0


def test_what_is_told_of_the_species_is_of_those_that_there_are_photos_of() -> None:
    plain = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    module = BirdModule(RedIsTheClass(), CLASSES, plain, Augment(), Optimizer())
    batch = (pictures([0, 0, 0, 7, 1, 2]), torch.tensor([0, 0, 0, 0, 1, 2]))
    batches: DataLoader[Batch] = DataLoader([batch], batch_size=None)  # type: ignore[arg-type]
    judge = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False,
    )  # fmt: skip

    figures = judge.validate(module, batches, verbose=False)[0]

    assert figures["val/macro_recall"] == pytest.approx((3 / 4 + 1 + 1) / 3)


@pytest.mark.parametrize(
    ("epochs", "warmup", "peak"),
    [(1, 1.0, 4), (1, 0.0, 0), (2, 1.0, 8), (6, 1.0, 8), (6, 0.25, 2), (2, 5.0, 8)],
)
def test_the_learning_rate_rises_over_the_warm_up_or_half_of_the_run_and_falls_to_nothing(
    epochs: int, warmup: float, peak: int
) -> None:
    plain = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    optimizer = Optimizer(lr=0.1, warmup_epochs=warmup)
    module = BirdModule(NotesItsChances(), CLASSES, plain, Augment(), optimizer)
    batch = (pictures([0, 1]), torch.tensor([0, 1]))
    batches: DataLoader[Batch] = DataLoader([batch] * 8, batch_size=None)  # type: ignore[arg-type]
    rates = NotesItsRates()
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=epochs,
        enable_model_summary=False, enable_progress_bar=False, callbacks=rates,
    )  # fmt: skip
    trainer.fit(module, batches)

    steps = 8 * epochs
    rise = [0.1 * (step + 1) / (peak + 1) for step in range(peak)]
    fall = [0.05 * (1 + math.cos(math.pi * step / (steps - peak))) for step in range(steps - peak)]
    assert rates.seen == pytest.approx(rise + fall)


def test_batches_that_share_a_step_do_not_share_their_chances() -> None:
    plain = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    batch = (pictures([0, 1]), torch.tensor([0, 1]))
    batches: DataLoader[Batch] = DataLoader([batch] * 5, batch_size=None)  # type: ignore[arg-type]

    def drawn(accumulate: int) -> list[float]:
        network = NotesItsChances()
        trainer = L.Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=2,
            enable_model_summary=False, enable_progress_bar=False,
            accumulate_grad_batches=accumulate,
        )  # fmt: skip
        trainer.fit(BirdModule(network, CLASSES, plain, Augment(), Optimizer()), batches)
        return network.drawn

    assert len(set(drawn(accumulate=2))) == 10
    assert drawn(accumulate=2) == drawn(accumulate=1)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("lr", 0.0),
        ("lr", -0.1),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("weight_decay", -0.1),
        ("layer_decay", 0.0),
        ("layer_decay", 1.1),
        ("warmup_epochs", -1.0),
        ("label_smoothing", -0.1),
        ("label_smoothing", 1.0),
    ],
)
def test_a_number_that_nothing_can_be_learned_with_is_refused(setting: str, value: float) -> None:
    with pytest.raises(ValidationError, match=setting):
        Optimizer.model_validate({setting: value})
