"""`birdedge compress`: a checkpoint in, one bundle out. The whole story is `compress`."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import check_place, describe_file, new_bundle
from ..runtime.errors import BackendError, BundleError, CheckpointError
from ..runtime.manifest import Manifest, OpenSet
from ..runtime.preprocess import Preprocess
from ..train.layouts import Photo
from ..train.provenance import git_commit
from .card import TargetFigures
from .confidence import UNKNOWN_THRESHOLD, fit_open_set, fit_temperature
from .cost import count_macs
from .features import classifier_weights
from .latency import Deadline, time_made
from .make import Made, Say
from .model import Model, load_twin
from .package import Contents, package
from .photos import Photos, labels_of
from .quantizers import load_quantizer
from .report import target_record
from .shrink import STAGES, Shrinking, StageFigures, shrink
from .stages import beside, remove_stages
from .subject import Subject
from .targets import DEFAULT_TARGETS, TARGETS, Calibration
from .tolerance import Tolerance
from .verify import REFERENCE, Logits, verify

_ENOUGH = 500
"""So many photos tell a target's agreement to a point or so."""

_ADVICE = (
    "; try another --calibration, more --calibration-photos, --quantization-aware 2, or allow it"
)

_USUAL_CALIBRATION, _USUAL_TOLERANCE = Calibration(), Tolerance()


@dataclass(frozen=True)
class Compressed:
    """What `compress` left behind.

    Attributes:
        folder: the bundle.
        manifest: what it says.
        stages: what pruning and training did to the network, if they were asked for.
        figures: of each target in it.
        refused: why a target that was asked for is not in it, by name.
    """

    folder: Path
    manifest: Manifest
    stages: dict[str, StageFigures]
    figures: dict[str, TargetFigures]
    refused: dict[str, str]


def compress(
    checkpoint: Path,
    out: Path,
    *,
    targets: tuple[str, ...] = DEFAULT_TARGETS,
    shrinking: Shrinking | None = None,
    work: Path | None = None,
    data: Path | None = None,
    calibration: Calibration = _USUAL_CALIBRATION,
    tolerance: Tolerance = _USUAL_TOLERANCE,
    twin: Path | None = None,
    mirror: bool = False,
    overwrite: bool = False,
    say: Say = lambda line: None,
) -> Compressed:
    """Prune, train back, export, quantize, verify and package a trained network.

    Args:
        checkpoint: a file of `birdedge train`.
        out: the bundle's folder; written whole or not at all.
        targets: names of `TARGETS`.
        shrinking: prune and train first, like this.
        work: where the stages are kept, so that the same call goes on from what is there; beside
            `out`, and only until no target is missing, if not given.
        data: where the photos lie, if not where training found them.
        calibration: how INT8 ranges are found.
        tolerance: how far a target may be from the network; layers of an INT8 target go back to
            float until it keeps to that, and what does not keep to it is left out.
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
        BackendError: the network cannot be exported, quantized or run, or no target keeps to the
            tolerance.
        BundleError: the bundle cannot be written.
        BirdedgeError: a stage cannot be written.
        MissingExtraError: a converter or an engine is not installed.
    """
    quantized = any(TARGETS[name].quantized for name in targets)
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
    check_place(out, overwrite=overwrite)
    kept = work or beside(out)
    if kept.resolve().is_relative_to(out.resolve()):
        raise BundleError(f"{kept} lies in the bundle's own folder; choose another --work")
    _warn(photos, judged.photos, say)
    stages: dict[str, StageFigures] = {}
    smaller = checkpoint
    if shrinking is not None:
        shrunk = shrink(checkpoint, kept, shrinking, mirror=mirror, data=data, say=say)
        stages, smaller = shrunk.figures, shrunk.checkpoint
        judged = model = Model.load(smaller, data, mirror)

    subject = Subject.of(smaller, model, kept, say)
    by = subject if twin is None else Subject.of(twin, judged, kept / "of-twin", say)
    how = by.quantization(calibration, tolerance) if quantized else None
    made = made_of_judged = by.make(targets, how)
    if twin is not None:
        say("that was its twin; now the network itself")
        how = subject.quantization(calibration, tolerance, made) if quantized else None
        made = subject.make(targets, how)

    val = by.answers(made_of_judged, judged.photos.val, "validation")
    test = subject.answers(made, photos.test, "test") if photos.test else None
    labels = labels_of(judged.photos.val)
    refused = _outside(tolerance, made_of_judged, val, labels)
    if twin is not None:
        itself = subject.answers(made, judged.photos.val, "validation")
        refused = _outside(tolerance, made, itself) | refused
    if test is not None:
        # What the network itself says of them is known without their labels, which only report.
        refused = _outside(tolerance, made, test) | refused
    made = {name: item for name, item in made.items() if name not in refused}
    if not made:
        raise BackendError("; ".join(f"{name} {why}" for name, why in refused.items()))
    for name, why in refused.items():
        say(f"{name} is left out: it {why}")

    temperature = fit_temperature(val[REFERENCE], labels)
    open_set = fit_open_set(val[REFERENCE], f"{len(labels):,} validation photos of {photos.name}")
    figures = _figures(made, photos, judged.photos.val, val, test, temperature, open_set)
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
        "refused": refused,
    }
    deadline = shrinking.deadline if shrinking is not None else None
    if deadline is not None and deadline.target in made:
        record["latency"] = _timed(made[deadline.target], deadline, model.info.preprocess, say)
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
    say("packaging")
    with new_bundle(out, overwrite=overwrite) as draft:
        manifest = package(draft, made, figures, about)
    if work is None and refused:
        say(f"the stages are kept in {kept}, for another try with --force")
    elif work is None:
        remove_stages(kept / "of-twin")
        # An earlier command may have been stopped while it trained.
        remove_stages(kept, but=STAGES if shrinking is None else ())
    return Compressed(out, manifest, stages, figures, refused)


def _warn(photos: Photos, judged: Photos, say: Say) -> None:
    """Of photos that make figures worth less than they seem."""
    if not (photos.as_trained and judged.as_trained):
        say(
            f"warning: {photos.root} is not as it was in training, so photos that were trained "
            "on may be among the validation photos and flatter their figures"
        )
    if (count := len(judged.val) + len(photos.test)) < _ENOUGH:
        say(
            f"warning: {count} photos to verify targets on; their figures are rough with fewer "
            f"than {_ENOUGH}"
        )


def _outside(
    tolerance: Tolerance,
    made: Mapping[str, Made],
    logits: Mapping[str, Logits],
    labels: NDArray[np.int64] | None = None,
) -> dict[str, str]:
    """Why targets may not enter the bundle, by name; see `Tolerance.broken_by`."""
    refused = {}
    for name, item in made.items():
        why = tolerance.broken_by(name, logits[name], logits[REFERENCE], labels)
        if why is not None:
            even = f" even with {len(item.in_float)} layers in float" if item.in_float else ""
            advice = _ADVICE if TARGETS[name].quantized else ""
            refused[name] = f"{why}{even}{advice}"
    return refused


def _timed(item: Made, deadline: Deadline, preprocess: Preprocess, say: Say) -> dict[str, object]:
    """What has become of a deadline: training and accuracy control came after it was searched."""
    milliseconds = round(time_made(item, preprocess) * 1000, 2)
    late = milliseconds > deadline.milliseconds
    why = f", with {len(item.in_float)} layers in float" if item.in_float else ""
    say(
        f"{'warning: ' if late else ''}{deadline.target} takes {milliseconds:.1f} ms for a picture "
        f"here{why}; {deadline.milliseconds:g} ms were asked for"
    )
    return {**asdict(deadline), "measured": milliseconds}


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
