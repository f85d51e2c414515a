"""Going on with an interrupted run, to the same result as if nothing had happened."""

import csv
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from ..runtime.bundle import sha256
from ..runtime.durable import atomic_write
from ..runtime.errors import CheckpointError
from .reporting import say

BEST, LAST = "best.ckpt", "last.ckpt"

# Where a run goes on, and where files lie: not what it computes.
_MAY_CHANGE = re.compile(
    r"resume|data\.(root|workers)|model\.(init_from|init_labels)|distill\.teachers|wandb\..*"
    r"|trainer\.(accelerator|devices|strategy|precision)"
)


class WholeFiles(TorchCheckpointIO):
    """Checkpoints are written whole or not at all, and outlast a power cut.

    Lightning's own are written in the system's folder for temporary files and, where that is on
    another disk, copied over the last one: a run that was killed meanwhile had none to go on from.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a run's state.

        Args:
            checkpoint: the state.
            path: of the file; its folder is made.
            storage_options: not used.

        Raises:
            OSError: there is no room for it, or it may not be written.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of a full disk torch's own writer says nothing that a person could read.
        state = io.BytesIO()
        torch.save(checkpoint, state)
        with atomic_write(path, to_disk=True) as draft:
            draft.write_bytes(state.getbuffer())


class BestCheckpoint(ModelCheckpoint):
    """The best epoch of a run, in its folder.

    Lightning forgets the score to beat when a resumed run writes into another folder, so that a
    worse epoch after the interruption would replace a better one before it. Here the best epoch so
    far is copied into the new folder and remains the one to beat.

    Args:
        folder: where to write.
        monitor: the validation figure that decides.
        mode: whether ``max`` or ``min`` of it is best.
        resume: the checkpoint that the run goes on from.
    """

    def __init__(self, folder: Path, monitor: str, mode: str, resume: Path | None) -> None:
        super().__init__(
            folder,
            filename=Path(BEST).stem,
            monitor=monitor,
            mode=mode,
            enable_version_counter=False,
        )
        self._resume = resume

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the score to beat, with the weights that reached it."""
        if self._resume is None:
            return
        earlier = self._resume.with_name(BEST)
        if not earlier.is_file():
            say(
                f"warning: {earlier}, the best epoch so far, is missing; the best one to come is "
                f"kept, or {self._resume.name} if there is none to come"
            )
            return
        best = Path(str(self.dirpath)) / BEST
        if earlier.resolve() != best.resolve():
            with atomic_write(best) as draft:
                shutil.copyfile(earlier, draft)
        here = {
            "dirpath": self.dirpath,
            "best_model_path": str(best),
            "kth_best_model_path": str(best),
            "best_k_models": {str(best): state_dict["best_model_score"]},
        }
        super().load_state_dict(state_dict | here)


class LastCheckpoint(ModelCheckpoint):
    """The last epoch, whether it was the best or not.

    A callback of its own, after the best one's, so that it records what the best one just decided:
    ``save_last`` would write only in epochs that are the best so far.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, filename=Path(LAST).stem, enable_version_counter=False)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: an earlier folder's last epoch is none of this one's."""


class EarlierMetrics(Callback):
    """The figures of the epochs before the interruption, in the record of the run that goes on.

    Lightning begins that record anew, so they are read before, and written first: at once, or a run
    that has no epoch left, or that ends in its next one, would lose them.

    Args:
        resume: the checkpoint that the run goes on from.
    """

    def __init__(self, resume: Path | None) -> None:
        self._rows: list[dict[str, str]] = []
        record = resume.with_name(ExperimentWriter.NAME_METRICS_FILE) if resume else None
        if record is not None and record.is_file():
            with record.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            # An epoch that was not ended is trained, and noted, again.
            first = first_epoch_of(resume)
            self._rows = [row for row in rows if int(row["epoch"]) < first]

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Put them before what comes, right after Lightning has deleted them."""
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger) and trainer.is_global_zero:
                logger.experiment.metrics[:0] = [
                    {name: value for name, value in row.items() if value} for row in self._rows
                ]
                logger.save()


class StaysStopped(Callback):
    """A run that had stopped early is at its end, and is not trained further when it is resumed.

    Lightning restores why it stopped, but asks only after each epoch.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """End before the first epoch."""
        for stopping in trainer.early_stopping_callbacks:
            if stopping.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
                trainer.should_stop = True


_NO_RUN = (
    "{} is damaged, or no .ckpt file of a run; resume=FOLDER takes the last one in a run's folder, "
    "and model.init_from=FILE.safetensors begins anew with a checkpoint's weights"
)

_PHOTOS = "digest of the training photos"

_AS_IT_WAS = {"trainer.ema_warmup": False}
"""What runs did before there was a setting for it."""


class SameSettings(Callback):
    """The settings and photos of a run, in its checkpoints: one that goes on has to have the same.

    With others, its schedule and its photos would not be those of a run that was never interrupted.
    A checkpoint from before there was such a record is gone on from unchecked.

    Args:
        settings: the resolved configuration, group by group.
        photos: the `data_digest` of the training photos.
    """

    def __init__(self, settings: dict[str, Any], photos: str) -> None:
        self._settings = what_counts(settings)
        # Wherever these lie now, they have to be the same.
        teachers, init_from = settings["distill"]["teachers"], settings["model"]["init_from"]
        self._settings["SHA-256 of distill.teachers"] = [sha256(Path(file)) for file in teachers]
        self._settings["SHA-256 of model.init_from"] = init_from and sha256(Path(init_from))
        self._settings[_PHOTOS] = photos
        self._root = settings["data"]["root"]

    def state_dict(self) -> dict[str, Any]:
        """The settings, by dotted name."""
        return self._settings

    def compare(self, resume: Path) -> None:
        """Compare them with the interrupted run's, before its weights are loaded.

        Args:
            resume: the checkpoint that the run goes on from.

        Raises:
            CheckpointError: one was changed.
        """
        state_dict = _read(resume)["callbacks"].get(self.state_key, {})
        if state_dict:
            state_dict = {**_AS_IT_WAS, **state_dict}
        if state_dict.get(_PHOTOS, self._settings[_PHOTOS]) != self._settings[_PHOTOS]:
            raise CheckpointError(
                f"data.root={self._root} holds other training photos than the run to resume "
                "learned from; give it the same ones, wherever they lie now"
            )
        # A setting that one of the two does not know came or went with a version of birdedge.
        for name in sorted(state_dict.keys() & self._settings.keys()):
            then, now = state_dict[name], self._settings[name]
            if now != then:
                raise CheckpointError(
                    f"{name} is {now} and was {then} in the run to resume, which goes on with the "
                    "settings that it began with; model.init_from=CHECKPOINT trains a network "
                    "further with others"
                )


def what_counts(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings that a run has to keep when it goes on, by dotted name."""
    return {name: value for name, value in _one_level(settings) if not _MAY_CHANGE.fullmatch(name)}


def _one_level(settings: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Settings by dotted name, of groups within groups by the outer one's and one more."""
    for group, values in settings.items():
        if isinstance(values, dict):
            yield from ((f"{group}.{name}", value) for name, value in values.items())
        else:
            yield group, values


def resume_from(path: Path | None) -> Path | None:
    """The checkpoint to go on from: a run's folder stands for its last one.

    Raises:
        CheckpointError: there is none, or it is damaged or no run's.
    """
    if path is None:
        return None
    checkpoint = path / LAST if path.is_dir() else path
    if not checkpoint.is_file():
        raise CheckpointError(f"nothing to resume at {checkpoint}")
    _read(checkpoint)
    return checkpoint


def first_epoch_of(resume: Path | None) -> int:
    """Number of the epoch that a run goes on with; of one that was cut off, that one again.

    Args:
        resume: the checkpoint that the run goes on from, if it does from one.
    """
    if resume is None:
        return 0
    # "epoch" beside it is the one that was just ended, or the one that had just begun.
    return int(_read(resume)["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def _read(checkpoint: Path) -> dict[str, Any]:
    """What Lightning wrote; the weights stay on the disk until they are asked for."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        whole = {"callbacks", "loops", "state_dict"} <= state.keys()
    # Its reader, its pickles and the system each raise errors of their own.
    except Exception as error:
        raise CheckpointError(_NO_RUN.format(checkpoint)) from error
    if not whole:
        raise CheckpointError(_NO_RUN.format(checkpoint))
    return dict(state)
