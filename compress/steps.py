"""The steps of a compression after training, one by one: a checkpoint and folders in, a folder out.

They are those that `compress` takes at once, and their folders are those of its ``--work``.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..runtime.bundle import check_place, sha256
from ..runtime.errors import BackendError, BirdedgeError, CheckpointError
from .accept import Accepted, accept, even_with, leave_out
from .compress import Compressed, bundle
from .make import Made, Say, export, quantization_inputs, quantize, read_made
from .model import Model
from .photos import check_held_out, labels_of, say_of_photos
from .provenance import compression_record
from .quantizers import load_quantizer
from .stage_figures import StageFigures, stage_figures
from .stages import (
    PARTIAL,
    answers_beside,
    beside,
    check_apart,
    interrupted,
    is_made_from,
    read_inputs,
    read_result,
    remove_stages,
)
from .subject import Subject
from .targets import TARGETS, Calibration, int8_target
from .tolerance import Tolerance
from .verify import REFERENCE

_USUAL_CALIBRATION, _USUAL_TOLERANCE = Calibration(), Tolerance()


@dataclass(frozen=True)
class Step:
    """A target in a folder of its own.

    Attributes:
        target: its name.
        folder: where it lies.
        figures: of the network and of each target on the way, on the validation photos; none where
            no photos were held out.
        in_float: layers of an INT8 target that accuracy control left in float.
        wrong: why it would not enter a bundle, as the rest of a sentence, or None.
    """

    target: str
    folder: Path
    figures: dict[str, StageFigures]
    in_float: tuple[str, ...]
    wrong: str | None


def export_step(
    checkpoint: Path,
    target: str,
    out: Path,
    *,
    mirror: bool = False,
    data: Path | None = None,
    tolerance: Tolerance = _USUAL_TOLERANCE,
    overwrite: bool = False,
    say: Say = lambda line: None,
) -> Step:
    """Export a checkpoint's network as a float target.

    Args:
        checkpoint: a file of `birdedge train`, `prune` or `recover`.
        target: name of a float target.
        out: its folder; written whole or not at all.
        mirror: see `Mirrored`.
        data: where the photos lie, if not where training found them.
        tolerance: what more than this is said to be wrong.
        overwrite: whether a target that was made of something else may be replaced.
        say: told what goes on, a line at a time.

    Raises:
        CheckpointError, DataError, BackendError, MissingExtraError: see `compress`.
        ImageError: a photo cannot be read.
        BirdedgeError: the folder is taken or cannot be written.
    """
    subject = Subject.of(checkpoint, Model.load(checkpoint, data, mirror), out, say)
    model, size = subject.model, subject.model.info.preprocess.input_size
    _check_out(out, {**subject.made_from, "target": target}, overwrite)
    if model.photos.val:
        say_of_photos(model.photos, model.photos, say)
    made = export(model.network, size, target, out, subject.made_from, say)
    return _measured(subject, {target: made}, tolerance, out)


def quantize_step(
    checkpoint: Path,
    source: Path,
    out: Path,
    *,
    calibration: Calibration = _USUAL_CALIBRATION,
    tolerance: Tolerance = _USUAL_TOLERANCE,
    data: Path | None = None,
    overwrite: bool = False,
    say: Say = lambda line: None,
) -> Step:
    """Quantize an exported network.

    Args:
        checkpoint: what it was exported from; its training photos are calibrated on.
        source: a folder of `export_step`.
        out: the INT8 target's folder; written whole or not at all.
        calibration: how ranges are found.
        tolerance: layers go back to float until it is kept to.
        data: where the photos lie, if not where training found them.
        overwrite: whether a target that was made of something else may be replaced.
        say: told what goes on, a line at a time.

    Raises:
        CheckpointError: the folder was not made from the checkpoint, or no photos were held out
            to judge by; else see `compress`.
        BackendError: the float target strays from the network already; else see `compress`.
        DataError, MissingExtraError: see `compress`.
        ImageError: a photo cannot be read.
        BirdedgeError: the folder to write is taken or cannot be written, or the other is none.
    """
    name, exported = read_made(source)
    target = int8_target(name)
    if target is None:
        raise BirdedgeError(f"{source} holds {name}, which has no INT8 version")
    check_apart(out, source, "--out")
    load_quantizer(TARGETS[target].exporter, calibration.method)
    model = _model_of(checkpoint, [source], data)
    check_held_out(model.photos)
    subject = Subject.of(checkpoint, model, out, say)
    made_from = dict(subject.made_from)
    if read_inputs(source) != {**made_from, "target": name}:  # other versions, another machine
        made_from["exported"] = read_inputs(source)
    inputs = quantization_inputs(target, made_from, subject.how(calibration, tolerance))
    _check_out(out, inputs, overwrite)
    say_of_photos(model.photos, model.photos, say)
    start = _measured(subject, {name: exported}, tolerance, source)
    if start.wrong:
        raise BackendError(f"{name} itself {start.wrong}")
    if not (is_made_from(out, inputs) and read_result(out)):
        how = subject.quantization(calibration, tolerance)
        quantize(exported, target, how, out, made_from, say)
    return _measured(subject, {name: exported, target: read_made(out)[1]}, tolerance, out)


def verify_step(
    checkpoint: Path,
    targets: Sequence[Path],
    *,
    tolerance: Tolerance = _USUAL_TOLERANCE,
    work: Path | None = None,
    data: Path | None = None,
    say: Say = lambda line: None,
) -> Accepted:
    """Compare targets with the network in PyTorch on validation and test photos.

    Args:
        checkpoint: what they were made from.
        targets: folders of `export_step` and `quantize_step`.
        tolerance: how far they may be from it.
        work: where all logits are kept, so that nothing is asked twice; nowhere, if not given.
        data: where the photos lie, if not where training found them.
        say: told what goes on, a line at a time.

    Raises:
        CheckpointError: a target was not made from the checkpoint, or no photos were held out; else
            see `compress`.
        DataError, BackendError, MissingExtraError: see `compress`.
        ImageError: a photo cannot be read.
        BirdedgeError: a folder holds no target, two hold the same one, or the answers cannot be
            kept.
    """
    with ExitStack() as until_done:
        folder = work or Path(until_done.enter_context(TemporaryDirectory()))
        return _asked(checkpoint, targets, tolerance, folder, data, say)[1]


def package_step(
    checkpoint: Path,
    targets: Sequence[Path],
    out: Path,
    *,
    tolerance: Tolerance = _USUAL_TOLERANCE,
    work: Path | None = None,
    data: Path | None = None,
    overwrite: bool = False,
    say: Say = lambda line: None,
) -> Compressed:
    """Verify targets, and make a bundle of those that keep to the tolerance.

    Args:
        checkpoint: what they were made from.
        targets: folders of `export_step` and `quantize_step`.
        out: the bundle's folder; written whole or not at all.
        tolerance: how far they may be from the network.
        work: see `verify_step`; beside `out` until the bundle is there, if not given.
        data: where the photos lie, if not where training found them.
        overwrite: whether an older bundle may be replaced.
        say: told what goes on, a line at a time.

    Raises:
        BackendError: no target keeps to the tolerance; else see `verify_step`.
        BundleError: the bundle cannot be written.
        BirdedgeError: `work` lies in the bundle, or the bundle in a target; else see `verify_step`.
    """
    check_place(out, overwrite=overwrite)
    kept = work or answers_beside(out)
    check_apart(kept, out, "--work")
    for target in targets:
        check_apart(out, target, "--out")
    model, accepted = _asked(checkpoint, targets, tolerance, kept, data, say)
    leave_out(accepted, say)
    record = compression_record(checkpoint, model, accepted)
    done = bundle(out, model, accepted, record, {}, overwrite=overwrite, say=say)
    if work is None:
        remove_stages(kept)
        with suppress(OSError):
            beside(out).rmdir()
    return done


def _asked(
    checkpoint: Path,
    targets: Sequence[Path],
    tolerance: Tolerance,
    work: Path,
    data: Path | None,
    say: Say,
) -> tuple[Model, Accepted]:
    for target in targets:
        check_apart(work, target, "--work")
    made = _read_all(targets, say)
    model = _model_of(checkpoint, list(made), data)
    check_held_out(model.photos)
    say_of_photos(model.photos, model.photos, say)
    by_name = dict(made.values())
    return model, accept(Subject.of(checkpoint, model, work, say), by_name, tolerance)


def _check_out(out: Path, inputs: Mapping[str, Any], overwrite: bool) -> None:
    """See that a target's folder is free, or the same target's, or may be replaced.

    Raises:
        BirdedgeError: it is not.
    """
    if out.resolve() == Path.cwd():
        raise BirdedgeError(f"{out} is the folder that this runs in; choose another --out")
    for place in (out, interrupted(out)):
        if "target" not in (read_inputs(place) or inputs):
            raise BirdedgeError(f"{place} is another stage's; choose another --out")
    # Of a folder that is none, `stage` knows what to do.
    if read_inputs(out) is not None and not is_made_from(out, inputs) and not overwrite:
        raise BirdedgeError(
            f"{out} exists already and was not made like that; choose another --out, or use --force"
        )


def _read_all(folders: Sequence[Path], say: Say) -> dict[Path, tuple[str, Made]]:
    """Targets by folder; what else a folder of stages holds is passed over.

    Raises:
        BirdedgeError: there are none, or two alike.
    """
    made: dict[Path, tuple[str, Made]] = {}
    for folder in folders:
        if folder.name.endswith(PARTIAL):
            say(f"{folder} is passed over: what should have made it was interrupted")
        elif "target" not in (read_inputs(folder) or {}) and len(folders) > 1:
            say(f"{folder} is passed over: it holds no target")
        else:
            name, target = read_made(folder)
            if name in {other for other, _ in made.values()}:
                raise BirdedgeError(f"{folder} holds {name}, as another folder does")
            made[folder] = name, target
    if not made:
        raise BirdedgeError("there is no target of `birdedge export` or `quantize`")
    return made


def _model_of(checkpoint: Path, folders: Sequence[Path], data: Path | None) -> Model:
    """The network that targets were made from, mirrored if they are.

    Raises:
        CheckpointError: they were not made from this checkpoint.
        BirdedgeError: some are mirrored and others are not.
    """
    digest = sha256(checkpoint) if checkpoint.is_file() else ""
    mirrored = set()
    for folder in folders:
        inputs = read_inputs(folder) or {}
        if digest and inputs.get("checkpoint") != digest:
            raise CheckpointError(f"{folder} was not made from {checkpoint}")
        mirrored.add(bool(inputs.get("mirror")))
    if len(mirrored) > 1:
        raise BirdedgeError("some of these targets are mirrored and others are not")
    return Model.load(checkpoint, data, mirrored.pop())


def _measured(
    subject: Subject, made: Mapping[str, Made], tolerance: Tolerance, folder: Path
) -> Step:
    """What the last of these targets is, and what was before it."""
    model, target = subject.model, list(made)[-1]
    in_float = made[target].in_float
    if not model.photos.val:
        subject.say("not measured: no photos were held out from training")
        return Step(target, folder, {}, in_float, None)
    with TemporaryDirectory() as work:
        asked = Subject(model, Path(work), subject.made_from, subject.say)
        logits = asked.answers(made, model.photos.val, "validation")
    labels, reference = labels_of(model.photos.val), logits[REFERENCE]
    size = model.info.preprocess.input_size
    weights = sum(tensor.nbytes for tensor in model.weights.values()) / 1e6
    megabytes = {REFERENCE: weights} | {name: item.megabytes for name, item in made.items()}
    figures = {
        name: stage_figures(model.network, size, megabytes[name], logits[name], reference, labels)
        for name in megabytes
    }
    wrong = tolerance.broken_by(target, logits[target], reference, labels)
    if wrong is not None:
        wrong += even_with(made[target])
    return Step(target, folder, figures, in_float, wrong)
