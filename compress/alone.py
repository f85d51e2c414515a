"""The stages after training one by one: each takes a checkpoint and folders, and leaves a folder.

They are those that `compress` goes through, and their folders are the same as in its ``--work``.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..runtime.bundle import check_place, new_bundle, sha256
from ..runtime.errors import BirdedgeError, CheckpointError
from .accept import Accepted, accept, leave_out
from .compress import Compressed
from .cost import count_macs, count_parameters
from .figures import top1
from .make import Made, Say, export, quantize, read_made
from .model import Model
from .package import package
from .photos import check_held_out, labels_of, say_of_photos
from .record import compression_record
from .shrink import StageFigures
from .stages import beside, check_apart, is_made_from, read_inputs, remove_stages
from .subject import Subject
from .targets import Calibration, int8_target
from .tolerance import Tolerance
from .verify import REFERENCE

_USUAL_CALIBRATION, _USUAL_TOLERANCE = Calibration(), Tolerance()


@dataclass(frozen=True)
class MadeAlone:
    """A target in a folder of its own.

    Attributes:
        target: its name.
        folder: where it lies.
        figures: of the network and of each target on the way, on the validation photos; none where
            no photos were held out.
        wrong: why it would not enter a bundle, as the rest of a sentence, or None.
    """

    target: str
    folder: Path
    figures: dict[str, StageFigures]
    wrong: str | None


def export_alone(
    checkpoint: Path,
    target: str,
    out: Path,
    *,
    mirror: bool = False,
    data: Path | None = None,
    tolerance: Tolerance = _USUAL_TOLERANCE,
    overwrite: bool = False,
    say: Say = lambda line: None,
) -> MadeAlone:
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
        BirdedgeError: the folder is taken or cannot be written.
    """
    subject = Subject.of(checkpoint, Model.load(checkpoint, data, mirror), out, say)
    model, size = subject.model, subject.model.info.preprocess.input_size
    _check_out(out, {**subject.made_from, "target": target}, overwrite)
    made = export(model.network, size, target, out, subject.made_from, say)
    return _measured(subject, {target: made}, tolerance, out)


def quantize_alone(
    checkpoint: Path,
    source: Path,
    out: Path,
    *,
    calibration: Calibration = _USUAL_CALIBRATION,
    tolerance: Tolerance = _USUAL_TOLERANCE,
    data: Path | None = None,
    overwrite: bool = False,
    say: Say = lambda line: None,
) -> MadeAlone:
    """Quantize an exported network.

    Args:
        checkpoint: what it was exported from; its training photos are calibrated on.
        source: a folder of `export_alone`.
        out: the INT8 target's folder; written whole or not at all.
        calibration: how ranges are found.
        tolerance: layers go back to float until it is kept to.
        data: where the photos lie, if not where training found them.
        overwrite: whether a target that was made of something else may be replaced.
        say: told what goes on, a line at a time.

    Raises:
        CheckpointError: the folder was not made from the checkpoint, or no photos were held out
            to judge by; else see `compress`.
        DataError, BackendError, MissingExtraError: see `compress`.
        BirdedgeError: the folder to write is taken or cannot be written, or the other is none.
    """
    name, exported = read_made(source)
    model = _model_of(checkpoint, [source], data)
    target = int8_target(name)
    if target is None:
        raise BirdedgeError(f"{source} holds {name}, which has no INT8 version")
    check_held_out(model.photos)
    subject = Subject.of(checkpoint, model, out, say)
    made_from = dict(subject.made_from)
    if read_inputs(source) != {**made_from, "target": name}:  # other versions, another machine
        made_from["exported"] = read_inputs(source)
    how = subject.quantization(calibration, tolerance)
    _check_out(out, how.inputs(target, made_from), overwrite)
    made = quantize(exported, target, how, out, made_from, say)
    return _measured(subject, {name: exported, target: made}, tolerance, out)


def verify_alone(
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
        targets: folders of `export_alone` and `quantize_alone`.
        tolerance: how far they may be from it.
        work: where all logits are kept, so that nothing is asked twice; nowhere, if not given.
        data: where the photos lie, if not where training found them.
        say: told what goes on, a line at a time.

    Raises:
        CheckpointError: a target was not made from the checkpoint, or no photos were held out; else
            see `compress`.
        DataError, BackendError, MissingExtraError: see `compress`.
        BirdedgeError: a folder holds no target, or two hold the same one.
    """
    with ExitStack() as until_done:
        folder = work or Path(until_done.enter_context(TemporaryDirectory()))
        return _asked(checkpoint, targets, tolerance, folder, data, say)[1]


def package_alone(
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
        targets: folders of `export_alone` and `quantize_alone`.
        out: the bundle's folder; written whole or not at all.
        tolerance: how far they may be from the network.
        work: see `verify_alone`; beside `out`, and only until all is done, if not given.
        data: where the photos lie, if not where training found them.
        overwrite: whether an older bundle may be replaced.
        say: told what goes on, a line at a time.

    Raises:
        BackendError: no target keeps to the tolerance; else see `verify_alone`.
        BundleError: the bundle cannot be written.
    """
    check_place(out, overwrite=overwrite)
    kept = work or beside(out)
    check_apart(kept, out)
    model, accepted = _asked(checkpoint, targets, tolerance, kept, data, say)
    leave_out(accepted, say)
    say("packaging")
    with new_bundle(out, overwrite=overwrite) as draft:
        record = compression_record(checkpoint, model, accepted)
        manifest = package(draft, model, accepted, record)
    if work is None:
        remove_stages(kept)
    figures = {name: accepted.figures[name] for name in accepted.made}
    return Compressed(out, manifest, {}, figures, accepted.refused)


def _asked(
    checkpoint: Path,
    targets: Sequence[Path],
    tolerance: Tolerance,
    work: Path,
    data: Path | None,
    say: Say,
) -> tuple[Model, Accepted]:
    made = _read_all(targets)
    model = _model_of(checkpoint, targets, data)
    check_held_out(model.photos)
    say_of_photos(model.photos, model.photos, say)
    return model, accept(Subject.of(checkpoint, model, work, say), made, tolerance)


def _check_out(out: Path, inputs: Mapping[str, Any], overwrite: bool) -> None:
    if out.exists() and not overwrite and not is_made_from(out, inputs):
        raise BirdedgeError(
            f"{out} exists already and was not made like that; choose another --out, or use --force"
        )


def _read_all(folders: Sequence[Path]) -> dict[str, Made]:
    made: dict[str, Made] = {}
    for folder in folders:
        name, target = read_made(folder)
        if name in made:
            raise BirdedgeError(f"{folder} holds {name}, as another folder does")
        made[name] = target
    return made


def _model_of(checkpoint: Path, folders: Sequence[Path], data: Path | None) -> Model:
    """The network that targets were made from, mirrored if they are."""
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
    subject: Subject, made: Mapping[str, Made], tolerance: Tolerance, out: Path
) -> MadeAlone:
    """What the last of these targets is, before and after."""
    model, target = subject.model, list(made)[-1]
    if not model.photos.val:
        subject.say("not measured: no photos were held out from training")
        return MadeAlone(target, out, {}, None)
    with TemporaryDirectory() as work:
        asked = Subject(model, Path(work), subject.made_from, subject.say)
        logits = asked.answers(made, model.photos.val, "validation")
    labels, reference = labels_of(model.photos.val), logits[REFERENCE]
    macs = count_macs(model.network, model.info.preprocess.input_size)
    parameters = count_parameters(model.network)
    megabytes = {name: item.megabytes for name, item in made.items()}
    megabytes[REFERENCE] = sum(tensor.nbytes for tensor in model.weights.values()) / 1e6
    figures = {
        name: StageFigures(
            megabytes=megabytes[name],
            macs=macs,
            parameters=parameters,
            top1=top1(logits[name], labels),
            agreement=float((logits[name].argmax(axis=1) == reference.argmax(axis=1)).mean()),
        )
        for name in (REFERENCE, *made)
    }
    wrong = tolerance.broken_by(target, logits[target], reference, labels)
    return MadeAlone(target, out, figures, wrong)
