"""`birdedge compress`: a checkpoint in, one bundle out. The whole story is `compress`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..runtime.bundle import check_place, new_bundle
from ..runtime.manifest import Manifest
from ..runtime.preprocess import Preprocess
from .accept import Accepted, NetworkFigures, accept, leave_out
from .card import TargetFigures
from .latency import Deadline, time_made
from .make import Made, Say
from .model import Model, load_twin
from .package import package
from .photos import check_held_out, say_of_photos
from .provenance import compression_record
from .quantizers import load_quantizer
from .shrink import STAGES, Shrinking, shrink
from .stage_figures import StageFigures
from .stages import beside, check_apart, remove_stages
from .subject import Subject
from .targets import DEFAULT_TARGETS, TARGETS, Calibration
from .tolerance import Tolerance

_ADVICE = (
    "; try another --calibration, more --calibration-photos, --quantization-aware 2, or allow it"
)

_USUAL_CALIBRATION, _USUAL_TOLERANCE = Calibration(), Tolerance()


@dataclass(frozen=True)
class Compressed:
    """A bundle, and what is known of it.

    Attributes:
        folder: the bundle.
        manifest: what it says.
        stages: what pruning and training did to the network, if they were asked for.
        network: what was exported.
        figures: of each target in it.
        refused: why a target that was asked for is not in it, by name.
    """

    folder: Path
    manifest: Manifest
    stages: dict[str, StageFigures]
    network: NetworkFigures
    figures: dict[str, TargetFigures]
    refused: Mapping[str, str]


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
    check_held_out(judged.photos)
    check_place(out, overwrite=overwrite)
    kept = work or beside(out)
    check_apart(kept, out, "--work")
    say_of_photos(model.photos, judged.photos, say)
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

    judged_by = None if twin is None else (by, made_of_judged)
    accepted = accept(subject, made, tolerance, judged_by)
    leave_out(accepted, say, _ADVICE)

    record = compression_record(checkpoint, model, accepted)
    deadline = shrinking.deadline if shrinking is not None else None
    if deadline is not None and deadline.target in accepted.made:
        item = accepted.made[deadline.target]
        record["latency"] = _timed(item, deadline, model.info.preprocess, say)
    if stages:
        record["stages"] = {name: asdict(item) for name, item in stages.items()}
    if twin is not None:
        record["twin"] = judged.info.provenance.model_dump(mode="json")
    done = bundle(out, model, accepted, record, stages, overwrite=overwrite, say=say)
    if work is None and accepted.refused:
        say(f"the stages are kept in {kept}, for another try with --force")
    elif work is None:
        remove_stages(kept / "of-twin")
        # An earlier command may have been stopped while it trained.
        remove_stages(kept, but=STAGES if shrinking is None else ())
    return done


def bundle(
    out: Path,
    model: Model,
    accepted: Accepted,
    record: Mapping[str, Any],
    stages: dict[str, StageFigures],
    *,
    overwrite: bool,
    say: Say,
) -> Compressed:
    """Write a bundle, whole or not at all; see `package` for what is raised besides.

    Args:
        out: its folder.
        model: the network.
        accepted: its targets.
        record: how it was compressed.
        stages: see `Compressed`.
        overwrite: whether an older bundle may be replaced.
        say: told what goes on, a line at a time.

    Raises:
        BundleError: it cannot be written.
    """
    say("packaging")
    with new_bundle(out, overwrite=overwrite) as draft:
        manifest = package(draft, model, accepted, record)
    figures = {name: accepted.figures[name] for name in accepted.made}
    return Compressed(out, manifest, stages, accepted.network, figures, accepted.refused)


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
