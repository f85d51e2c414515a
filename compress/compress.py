"""`birdedge compress`: a checkpoint in, one bundle out. The whole story is `compress`."""

import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ..runtime.bundle import describe_file, new_bundle
from ..runtime.errors import BackendError, CheckpointError
from ..runtime.manifest import Manifest
from ..train.checkpoint import CheckpointInfo, load_checkpoint
from ..train.layouts import Photo
from ..train.model import network_of
from ..train.provenance import git_commit
from .card import TargetFigures
from .confidence import UNKNOWN_THRESHOLD, fit_temperature
from .latency import Deadline
from .make import Made, Say, make_targets
from .mirror import Mirrored
from .package import Contents, package
from .photos import Photos, batches, draw_by_class, labels_of
from .prune import Pruning
from .quantizers import CalibrationSet, load_quantizer
from .shrink import StageFigures, shrink
from .targets import DEFAULT_TARGETS, TARGETS
from .verify import REFERENCE, Logits, answers, verify


@dataclass(frozen=True)
class Calibration:
    """How the ranges of INT8 activations are found.

    Attributes:
        photos: how many training photos are looked at.
        method: ``minmax``, ``entropy`` or ``percentile``.
    """

    photos: int = 256
    method: str = "minmax"


@dataclass(frozen=True)
class Shrinking:
    """Whether the network is made smaller first, and how.

    Attributes:
        pruning: which channels go.
        deadline: decides how many, where it is given.
        recovery: changes to ``configs/recover.yaml``, such as ``trainer.epochs=5``.
    """

    pruning: Pruning
    deadline: Deadline | None = None
    recovery: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Model:
    """A checkpoint, read back, with the photos it was trained and validated on."""

    info: CheckpointInfo
    weights: Mapping[str, Tensor]
    network: nn.Module
    photos: Photos

    @classmethod
    def load(cls, checkpoint: Path, data: Path | None, mirror: bool) -> "_Model":
        info, weights = load_checkpoint(checkpoint)
        photos = Photos.of(info, data)
        network = network_of(info, weights)
        return cls(info, weights, (Mirrored(network) if mirror else network).eval(), photos)


@dataclass(frozen=True)
class Compressed:
    """What `compress` left behind.

    Attributes:
        folder: the bundle.
        manifest: what it says.
        stages: what pruning and recovery did, if they were asked for.
        figures: of each target.
    """

    folder: Path
    manifest: Manifest
    stages: dict[str, StageFigures]
    figures: dict[str, TargetFigures]


def compress(
    checkpoint: Path,
    out: Path,
    *,
    targets: tuple[str, ...] = DEFAULT_TARGETS,
    shrinking: Shrinking | None = None,
    work: Path | None = None,
    data: Path | None = None,
    calibration: Calibration = Calibration(),
    max_drop: float = 0.5,
    twin: Path | None = None,
    mirror: bool = False,
    overwrite: bool = False,
    say: Say = lambda line: None,
) -> Compressed:
    """Prune, recover, export, quantize, verify and package a trained network.

    Args:
        checkpoint: a file of `birdedge train`.
        out: the bundle's folder; nothing is written there unless all goes well.
        targets: names of `TARGETS`.
        shrinking: prune and recover first, like this.
        work: where the stages of shrinking are kept, so that the same call goes on from what is
            there; beside `out`, and only until all went well, if not given.
        data: where the photos lie, if not where training found them.
        calibration: how INT8 ranges are found.
        max_drop: points of validation top-1 that a target may lose against the network.
        twin: a checkpoint that was trained alike, but with validation photos held out. A network
            that learned from all photos has none left to be judged by; whatever validation decides
            (temperature, whether a target loses too much) the twin decides for it.
        mirror: whether each answer is the mean of those to a picture and to its mirror image; see
            `Mirrored`.
        overwrite: whether an older bundle at `out` may be replaced.
        say: told what goes on, a line at a time.

    Raises:
        CheckpointError: the checkpoint is damaged, does not fit the data, or cannot be pruned.
        DataError: the photos are missing.
        BackendError: the network cannot be exported, quantized or run, or loses too much.
        BundleError: the bundle cannot be written.
        MissingExtraError: a converter or an engine is not installed.
    """
    for name in targets:
        if TARGETS[name].quantized:
            load_quantizer(TARGETS[name].exporter, calibration.method)
    model = _Model.load(checkpoint, data, mirror)
    judged = model if twin is None else _load_twin(twin, model, data, mirror)
    if not judged.photos.val:
        raise CheckpointError(
            "this network learned from all photos, so none are left to fit the temperature on; "
            "train a twin with photos held out (data.val_fraction=0.1) and give it with --twin"
        )
    photos = model.photos
    stages: dict[str, StageFigures] = {}
    with new_bundle(out, overwrite=overwrite) as draft, tempfile.TemporaryDirectory() as temporary:
        if not (photos.as_trained and judged.photos.as_trained):
            say(
                f"warning: {photos.root} is not as it was in training, so photos that were trained "
                "on may be among the validation photos and flatter their figures"
            )
        if shrinking is not None:
            shrunk = shrink(
                checkpoint,
                work or _beside(out),
                shrinking.pruning,
                deadline=shrinking.deadline,
                recovery=shrinking.recovery,
                data=data,
                say=say,
            )
            stages = shrunk.figures
            judged = model = _Model.load(shrunk.checkpoint, data, mirror)
        made = _make_targets(model, targets, calibration, Path(temporary), say)
        made_of_judged = made
        if judged is not model:
            say("the same for its twin")
            (Path(temporary) / "twin").mkdir()
            made_of_judged = _make_targets(
                judged, targets, calibration, Path(temporary) / "twin", say
            )

        say(f"verifying on {len(judged.photos.val):,} validation photos")
        val = _answers(judged, made_of_judged, judged.photos.val)
        labels = labels_of(judged.photos.val)
        _check_drop(val, labels, made, max_drop)
        temperature = fit_temperature(val[REFERENCE], labels)

        test = None
        if photos.test:
            say(f"measuring on {len(photos.test):,} test photos")
            test = _answers(model, made, photos.test)
        figures = _figures(made, photos, judged.photos.val, val, test, temperature)
        say("packaging")
        record = {
            "command": f"{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}",
            "git_commit": git_commit(),
            "checkpoint_sha256": describe_file(checkpoint).sha256,
            "calibration_photos": min(calibration.photos, len(photos.train)),
            "calibration_method": calibration.method,
            "mirrored": mirror,
        }
        if stages:
            record["pruning"] = model.info.pruning
            record["stages"] = {name: asdict(item) for name, item in stages.items()}
        if twin is not None:
            record["twin"] = judged.info.provenance.model_dump(mode="json")
        about = Contents(model.info, model.weights, photos.name, temperature, record)
        manifest = package(draft, made, figures, about)
    if work is None:
        shutil.rmtree(_beside(out), ignore_errors=True)
    return Compressed(out, manifest, stages, figures)


def _beside(out: Path) -> Path:
    """Where stages wait for the bundle they belong to."""
    return out.with_name(out.name + ".work")


def _load_twin(checkpoint: Path, model: _Model, data: Path | None, mirror: bool) -> _Model:
    """Load a twin, and see that it is one."""
    twin = _Model.load(checkpoint, data, mirror)
    for name in ("architecture", "model_args", "labels", "preprocess"):
        if getattr(twin.info, name) != getattr(model.info, name):
            raise CheckpointError(f"{checkpoint} is no twin: its {name} differs")
    return twin


def _make_targets(
    model: _Model, targets: tuple[str, ...], calibration: Calibration, folder: Path, say: Say
) -> dict[str, Made]:
    drawn = None
    if any(TARGETS[name].quantized for name in targets):
        drawn = _draw(model, calibration)
        say(f"calibrating on {len(drawn.pictures)} photos, {drawn.method}")
    size = model.info.preprocess.input_size
    return make_targets(model.network, size, targets, drawn, folder, say)


def _draw(model: _Model, calibration: Calibration) -> CalibrationSet:
    """The calibration set: photos of all classes that the network learned from."""
    drawn = draw_by_class(model.photos.train, calibration.photos)
    preprocess = model.info.preprocess
    pictures = [*batches(drawn, preprocess, model.photos.box_margin)]
    return CalibrationSet(np.concatenate(pictures), preprocess, calibration.method)


def _answers(
    model: _Model, made: Mapping[str, Made], photos: tuple[Photo, ...]
) -> dict[str, Logits]:
    targets = {name: (item.files, item.target) for name, item in made.items()}
    preprocess = model.info.preprocess
    pictures = batches(photos, preprocess, model.photos.box_margin)
    return answers(model.network, targets, preprocess, pictures)


def _check_drop(
    logits: Mapping[str, Logits],
    labels: NDArray[np.int64],
    made: Mapping[str, Made],
    max_drop: float,
) -> None:
    right = {name: float((logits[name].argmax(axis=1) == labels).mean()) for name in logits}
    for name in made:
        drop = (right[REFERENCE] - right[name]) * 100
        # Rounded, so that one of 200 photos is 0.5 points and not a hair more.
        if round(drop, 6) > max_drop:
            raise BackendError(
                f"{name} loses {drop:.1f} points of validation top-1 ({right[REFERENCE]:.1%} -> "
                f"{right[name]:.1%}), more than --max-drop {max_drop:g}; try another "
                "--calibration, more --calibration-photos, or allow it"
            )


def _figures(
    made: Mapping[str, Made],
    photos: Photos,
    val_photos: tuple[Photo, ...],
    val: Mapping[str, Logits],
    test: Mapping[str, Logits] | None,
    temperature: float,
) -> dict[str, TargetFigures]:
    figures = {}
    for name, item in made.items():
        of_val = verify(
            val[name], val[REFERENCE], labels_of(val_photos), temperature, UNKNOWN_THRESHOLD,
            f"{len(val_photos):,} validation photos of {photos.name}",
        )  # fmt: skip
        of_test = None
        if test is not None:
            of_test = verify(
                test[name], test[REFERENCE], labels_of(photos.test), temperature, UNKNOWN_THRESHOLD,
                f"{len(photos.test):,} test photos of {photos.name}",
            )  # fmt: skip
        megabytes = sum(file.stat().st_size for file in item.files) / 1e6
        figures[name] = TargetFigures(megabytes, of_val, of_test)
    return figures
