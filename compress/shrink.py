"""Checkpoint in, smaller checkpoint out: prune, recover, learn for INT8; what each of them did."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import __version__
from ..runtime.bundle import sha256
from ..runtime.errors import CheckpointError
from ..train.checkpoint import load_checkpoint, save_checkpoint
from ..train.model import network_of
from ..train.provenance import data_digest
from .latency import Deadline, share_in_time
from .made_with import made_with
from .make import Say
from .photos import Photos, batches, draw_by_class, labels_of
from .prune import Pruning, prune
from .recover import RECIPE, recover, teachers_of
from .stage_figures import StageFigures, stage_figures
from .stages import stage
from .verify import Logits, torch_runner

CHECKPOINT = "checkpoint.safetensors"

STAGES = ("pruned", "recovered", "quantization-aware", "measured")
"""Folders that `shrink` makes."""

_TAYLOR_PHOTOS = 256


_FOR_INT8 = ("optimizer.lr=0.0001", "optimizer.freeze_batch_norm=true", "trainer.ema_decay=0.9")
"""What is other than in recovery: the network has learned already, and must not forget it."""


@dataclass(frozen=True)
class Shrinking:
    """What is done to a network before it is exported.

    Attributes:
        pruning: which channels go; None keeps them all.
        deadline: decides how many, where it is given.
        recovery: changes to ``configs/recover.yaml``, such as ``data.workers=1``. They hold for
            INT8 training, too, but for its epochs and, with pruning, for what is fixed for it.
        int8_epochs: so long it is trained under simulated INT8 at last; see `SimulatedInt8`.
    """

    pruning: Pruning | None = None
    deadline: Deadline | None = None
    recovery: tuple[str, ...] = ()
    int8_epochs: int = 0


@dataclass(frozen=True)
class Shrunk:
    """What `shrink` made.

    Attributes:
        checkpoint: of the smaller network; the one that came, if it met its deadline already.
        figures: of the network as it came and after each stage, by name; none if it stays whole.
    """

    checkpoint: Path
    figures: dict[str, StageFigures]


def shrink(
    checkpoint: Path,
    work: Path,
    shrinking: Shrinking,
    *,
    mirror: bool = False,
    data: Path | None = None,
    say: Say = lambda line: None,
) -> Shrunk:
    """Prune a checkpoint and train it back; what was done before is not done again.

    Args:
        checkpoint: a file of `birdedge train`, whose network is the teacher too.
        work: where each stage leaves its folder.
        shrinking: the stages.
        mirror: see `share_in_time`.
        data: where the photos lie, if not where training found them.
        say: told what goes on, a line at a time.

    Raises:
        CheckpointError: the checkpoint is damaged, or its network cannot be pruned like that.
        DataError: the photos are missing.
        BirdedgeError: a stage's folder cannot be written.
    """
    info, _ = load_checkpoint(checkpoint)
    photos = Photos.of(info, data)
    made_from: dict[str, Any] = {
        "birdedge": __version__,
        "checkpoint": sha256(checkpoint),
        "photos": data_digest(photos.train + photos.val, photos.root),
    }
    stages = {"as trained": checkpoint}

    def prune_into(folder: Path) -> dict[str, Any]:
        assert shrinking.pruning is not None
        say("pruning")
        share = prune_checkpoint(
            checkpoint, folder / CHECKPOINT, shrinking.pruning, shrinking.deadline,
            mirror=mirror, data=data, say=say,
        )  # fmt: skip
        return {"share": share}

    def train(name: str, settings: Sequence[str]) -> None:
        """One more stage, from the one before it, by the answers of the network that came."""
        start = list(stages.values())[-1]

        def train_into(folder: Path) -> dict[str, Any]:
            recover(start, checkpoint, folder, settings, data)
            return {}

        made_from.update({
            "start": sha256(start), "settings": list(settings), "recipe": sha256(RECIPE),
            "teachers": teachers_of(start, checkpoint, settings, data),
        })  # fmt: skip
        stage(work / name, made_from, train_into)
        stages[name] = work / name / CHECKPOINT

    if shrinking.pruning is not None:
        made_from |= {
            "pruning": asdict(shrinking.pruning),
            "deadline": asdict(shrinking.deadline) if shrinking.deadline else None,
            "mirror": mirror,
        }
        # What is fast enough here is not so elsewhere.
        timed_by = made_with() if shrinking.deadline else {}
        if stage(work / "pruned", made_from | timed_by, prune_into)["share"] == 1:
            say("the whole network is fast enough: nothing is pruned")
        else:
            stages["pruned"] = work / "pruned" / CHECKPOINT
            say("recovering")
            train("recovered", shrinking.recovery)
    if shrinking.int8_epochs:
        say("training for INT8")
        settings = (*_FOR_INT8, *shrinking.recovery)
        if shrinking.pruning is not None:  # a learning rate to recover with is no gentle one
            settings = (*shrinking.recovery, *_FOR_INT8)
        epochs = f"trainer.epochs={shrinking.int8_epochs}"
        train("quantization-aware", (*settings, "quantization_aware=true", epochs))
    if len(stages) == 1:
        return Shrunk(checkpoint, {})

    def measure_into(_: Path) -> dict[str, Any]:
        say("measuring what each stage did")
        return {name: asdict(item) for name, item in measure(stages, data).items()}

    last = list(stages.values())[-1]
    figures = stage(work / "measured", made_from | {"last": sha256(last)}, measure_into)
    return Shrunk(last, {name: StageFigures(**item) for name, item in figures.items()})


def prune_checkpoint(
    checkpoint: Path,
    out: Path,
    pruning: Pruning,
    deadline: Deadline | None = None,
    *,
    mirror: bool = False,
    data: Path | None = None,
    say: Say = lambda line: None,
) -> float:
    """Prune a checkpoint's network into another checkpoint.

    Args:
        checkpoint: a file of `birdedge train`.
        out: the file to write; an older one is replaced.
        pruning: which channels go, and how many.
        deadline: decides how many, where it is given.
        mirror: see `share_in_time`.
        data: where the photos lie, if not where training found them.
        say: told what goes on, a line at a time.

    Returns:
        The share of multiply-adds that was to stay: 1 if the network meets its deadline as it is.

    Raises:
        CheckpointError: see `prune` and `share_in_time`; or the checkpoint is damaged.
        DataError: photos are needed and missing.
        BackendError: the network cannot be timed.
    """
    if out.resolve() == checkpoint.resolve():
        raise CheckpointError(f"{out} is the checkpoint to prune; choose another --out")
    if not out.parent.is_dir():
        raise CheckpointError(f"cannot write {out}: there is no folder {out.parent}")
    info, weights = load_checkpoint(checkpoint)
    network = network_of(info, weights)

    def labelled() -> Iterator[tuple[Tensor, Tensor]]:
        photos = Photos.of(info, data)
        drawn = draw_by_class(photos.train, _TAYLOR_PHOTOS)
        labels = torch.from_numpy(labels_of(drawn))
        for pictures in batches(drawn, info.preprocess, photos.box_margin):
            images = torch.from_numpy(info.preprocess.normalise(pictures)).permute(0, 3, 1, 2)
            yield images, labels[: len(images)]
            labels = labels[len(images) :]

    if deadline is not None:
        share = share_in_time(
            network, info.preprocess, pruning, deadline, labelled, mirror=mirror, say=say
        )
        pruning = replace(pruning, macs=share)
    prune(network, info.preprocess.input_size, pruning, labelled)
    record = {"parent_sha256": sha256(checkpoint), **asdict(pruning)}
    info = info.model_copy(update={"pruning": record, "metrics": {}})
    network_of(info, network.state_dict())  # what cannot be read back is not written
    save_checkpoint(out, network, info)
    return pruning.macs


def measure(checkpoints: Mapping[str, Path], data: Path | None = None) -> dict[str, StageFigures]:
    """Figures of networks on the validation photos of the first one.

    Raises:
        CheckpointError: one is damaged, or there are no validation photos.
    """
    first, _ = load_checkpoint(next(iter(checkpoints.values())))
    photos = Photos.of(first, data)
    if not photos.val:
        raise CheckpointError("no photos were held out from training, so nothing can be measured")
    labels = labels_of(photos.val)
    figures: dict[str, StageFigures] = {}
    reference: Logits | None = None
    for name, checkpoint in checkpoints.items():
        info, weights = load_checkpoint(checkpoint)
        network = network_of(info, weights)
        run = torch_runner(network, info.preprocess)
        # Training may have given a stage pictures of another size.
        pictures = batches(photos.val, info.preprocess, photos.box_margin)
        logits: Logits = np.concatenate([run(batch) for batch in pictures])
        reference = logits if reference is None else reference
        size = sum(tensor.nbytes for tensor in weights.values()) / 1e6
        figures[name] = stage_figures(
            network, info.preprocess.input_size, size, logits, reference, labels
        )
    return figures
