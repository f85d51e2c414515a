"""`birdedge compress`: a checkpoint in, one bundle out. The whole story is `compress`."""

import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import describe_file, new_bundle
from ..runtime.errors import BackendError, CheckpointError
from ..runtime.manifest import Manifest, OpenSet
from ..runtime.preprocess import Preprocess
from ..train.layouts import Photo
from ..train.provenance import git_commit
from .card import TargetFigures
from .confidence import UNKNOWN_THRESHOLD, fit_open_set, fit_temperature
from .cost import count_macs
from .exporters import Exported
from .features import classifier_weights
from .figures import top1
from .latency import Deadline, time_made
from .make import Made, Quantization, Say, make_targets
from .model import Model, load_twin
from .package import Contents, package
from .photos import Photos, batches, draw_by_class, labels_of
from .quantizers import CalibrationSet, load_quantizer
from .report import target_record
from .shrink import Shrinking, StageFigures, shrink
from .stages import beside, remove_stages
from .targets import DEFAULT_TARGETS, TARGETS
from .verify import REFERENCE, Logits, answers, run_exported, verify


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
class Compressed:
    """What `compress` left behind.

    Attributes:
        folder: the bundle.
        manifest: what it says.
        stages: what pruning and training did to the network, if they were asked for.
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
    """Prune, train back, export, quantize, verify and package a trained network.

    Args:
        checkpoint: a file of `birdedge train`.
        out: the bundle's folder; nothing is written there unless all goes well.
        targets: names of `TARGETS`.
        shrinking: prune and train first, like this.
        work: where the stages of shrinking are kept, so that the same call goes on from what is
            there; beside `out`, and only until all went well, if not given.
        data: where the photos lie, if not where training found them.
        calibration: how INT8 ranges are found.
        max_drop: points of validation top-1 that a target may lose against the network; layers of
            an INT8 target go back to float until it keeps to that.
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
    model = Model.load(checkpoint, data, mirror)
    judged = model if twin is None else load_twin(twin, model, data, mirror)
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
                work or beside(out),
                shrinking,
                mirror=mirror,
                data=data,
                say=say,
            )
            stages = shrunk.figures
            judged = model = Model.load(shrunk.checkpoint, data, mirror)
        quantization = _quantization(judged, targets, calibration, max_drop, say)
        made = made_of_judged = _make(judged, targets, quantization, Path(temporary), say)
        if judged is not model:
            say("that was its twin; now the network itself")
            quantization = _quantization(model, targets, calibration, max_drop, say, made)
            (Path(temporary) / "itself").mkdir()
            made = _make(model, targets, quantization, Path(temporary) / "itself", say)

        say(f"verifying on {len(judged.photos.val):,} validation photos")
        val = _answers(judged, made_of_judged, judged.photos.val)
        labels = labels_of(judged.photos.val)
        _check_drop(val, labels, made, max_drop)
        temperature = fit_temperature(val[REFERENCE], labels)
        held_out = f"{len(labels):,} validation photos of {photos.name}"
        open_set = fit_open_set(val[REFERENCE], held_out)

        test = None
        if photos.test:
            say(f"measuring on {len(photos.test):,} test photos")
            test = _answers(model, made, photos.test)
        figures = _figures(made, photos, judged.photos.val, val, test, temperature, open_set)
        say("packaging")
        record = {
            "command": f"{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}",
            "git_commit": git_commit(),
            "checkpoint_sha256": describe_file(checkpoint).sha256,
            "calibration_photos": min(calibration.photos, len(photos.train)),
            "calibration_method": calibration.method,
            "mirrored": mirror,
            "macs": count_macs(model.network, model.info.preprocess.input_size),
            "in_float": {name: item.in_float for name, item in made.items() if item.in_float},
            "figures": {name: target_record(item) for name, item in figures.items()},
        }
        if shrinking is not None and shrinking.deadline is not None:
            record["latency"] = _timed(made, shrinking.deadline, model.info.preprocess, say)
        if model.info.pruning:
            record["pruning"] = model.info.pruning
        if stages:
            record["stages"] = {name: asdict(item) for name, item in stages.items()}
        if twin is not None:
            record["twin"] = judged.info.provenance.model_dump(mode="json")
        gives_features = any(item.target.features for item in made.values())
        about = Contents(
            model.info,
            model.weights,
            classifier_weights(model.network) if gives_features else None,
            photos.name,
            temperature,
            open_set,
            record,
        )
        manifest = package(draft, made, figures, about)
    if shrinking is not None and work is None:
        remove_stages(beside(out))
    return Compressed(out, manifest, stages, figures)


def _make(
    model: Model,
    targets: tuple[str, ...],
    quantization: Quantization | None,
    folder: Path,
    say: Say,
) -> dict[str, Made]:
    size = model.info.preprocess.input_size
    return make_targets(model.network, size, targets, quantization, folder, say)


def _quantization(
    model: Model,
    targets: tuple[str, ...],
    calibration: Calibration,
    max_drop: float,
    say: Say,
    made_of_twin: Mapping[str, Made] | None = None,
) -> Quantization | None:
    """How a network is quantized: within the budget, or with the layers that suited its twin."""
    if not any(TARGETS[name].quantized for name in targets):
        return None
    drawn = draw_by_class(model.photos.train, calibration.photos)
    say(f"calibrating on {len(drawn)} photos, {calibration.method}")
    preprocess = model.info.preprocess
    pictures = [*batches(drawn, preprocess, model.photos.box_margin)]
    photos = CalibrationSet(np.concatenate(pictures), preprocess, calibration.method)
    if made_of_twin is None:
        return Quantization(photos, max_drop, _drop_of(model))
    settled = {name: item.in_float for name, item in made_of_twin.items()}
    return Quantization(photos, settled=settled)


def _drop_of(model: Model) -> Callable[[Exported], float]:
    """What measures the points of validation top-1 that a version of the network has lost."""
    preprocess = model.info.preprocess
    pictures = np.concatenate([*batches(model.photos.val, preprocess, model.photos.box_margin)])
    labels = labels_of(model.photos.val)
    (reference,) = answers(model.network, {}, preprocess, np.array_split(pictures, 10)).values()
    right = top1(reference, labels)

    def drop(exported: Exported) -> float:
        logits = run_exported(exported, preprocess, pictures)
        return _points(right - top1(logits, labels))

    return drop


def _points(share: float) -> float:
    """Rounded, so that one of 200 photos is 0.5 points and not a hair more."""
    return round(share * 100, 6)


def _answers(
    model: Model, made: Mapping[str, Made], photos: tuple[Photo, ...]
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
    right = {name: top1(logits[name], labels) for name in logits}
    for name, item in made.items():
        drop = _points(right[REFERENCE] - right[name])
        if drop > max_drop:
            even = f", even with {len(item.in_float)} layers in float" if item.in_float else ""
            raise BackendError(
                f"{name} loses {drop:.1f} points of validation top-1 ({right[REFERENCE]:.1%} -> "
                f"{right[name]:.1%}){even}, more than --max-drop {max_drop:g}; try another "
                "--calibration, more --calibration-photos, --quantization-aware 2, or allow it"
            )


def _timed(
    made: Mapping[str, Made], deadline: Deadline, preprocess: Preprocess, say: Say
) -> dict[str, object]:
    """What has become of a deadline: training and accuracy control came after it was searched."""
    item = made[deadline.target]
    milliseconds = time_made(item, preprocess) * 1000
    late = milliseconds > deadline.milliseconds
    why = f", with {len(item.in_float)} layers in float" if item.in_float else ""
    say(
        f"{'warning: ' if late else ''}{deadline.target} takes {milliseconds:.1f} ms for a picture "
        f"here{why}; {deadline.milliseconds:g} ms were asked for"
    )
    return {**asdict(deadline), "measured": round(milliseconds, 2)}


def _figures(
    made: Mapping[str, Made],
    photos: Photos,
    val_photos: tuple[Photo, ...],
    val: Mapping[str, Logits],
    test: Mapping[str, Logits] | None,
    temperature: float,
    open_set: OpenSet | None,
) -> dict[str, TargetFigures]:
    figures = {}
    for name, item in made.items():
        of_val = verify(
            val[name], val[REFERENCE], labels_of(val_photos), temperature, UNKNOWN_THRESHOLD,
            f"{len(val_photos):,} validation photos of {photos.name}", open_set,
        )  # fmt: skip
        of_test = None
        if test is not None:
            of_test = verify(
                test[name], test[REFERENCE], labels_of(photos.test), temperature, UNKNOWN_THRESHOLD,
                f"{len(photos.test):,} test photos of {photos.name}", open_set,
            )  # fmt: skip
        megabytes = sum(file.stat().st_size for file in item.files) / 1e6
        figures[name] = TargetFigures(megabytes, of_val, of_test)
    return figures
