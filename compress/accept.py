"""What verifying comes to: which targets may enter a bundle, and what all of them can do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import BackendError
from ..runtime.manifest import OpenSet
from ..train.layouts import Photo
from .card import TargetFigures
from .confidence import UNKNOWN_THRESHOLD, fit_open_set, fit_temperature
from .cost import count_macs, count_parameters
from .make import Made
from .photos import labels_of
from .subject import Subject
from .targets import TARGETS
from .tolerance import Tolerance
from .verify import REFERENCE, Logits, Verification, verify


@dataclass(frozen=True)
class NetworkFigures:
    """What a network was before it was exported.

    Attributes:
        macs: multiply-adds of one picture.
        parameters: weights and biases.
        figures: in PyTorch; megabytes are those of its weights.
    """

    macs: int
    parameters: int
    figures: TargetFigures


@dataclass(frozen=True)
class Accepted:
    """What targets are like.

    Attributes:
        made: those that keep to the tolerance, by name.
        refused: why others do not, as the rest of a sentence.
        network: what they were made from.
        figures: of all whose logits are finite.
        temperature: makes the network's logits probabilities.
        open_set: what is unknown.
    """

    made: Mapping[str, Made]
    refused: Mapping[str, str]
    network: NetworkFigures
    figures: Mapping[str, TargetFigures]
    temperature: float
    open_set: OpenSet | None


def accept(
    subject: Subject,
    made: Mapping[str, Made],
    tolerance: Tolerance,
    judged: tuple[Subject, Mapping[str, Made]] | None = None,
) -> Accepted:
    """Ask a network's targets about validation and test photos.

    Args:
        subject: the network itself.
        made: its targets.
        tolerance: how far they may be from it.
        judged: by whom validation decides, with its targets; a twin, if it is not the network.

    Raises:
        CheckpointError: the network gives values that are not finite.
        ImageError: a photo cannot be read.
        BackendError: an engine cannot run a target.
        BirdedgeError: the answers cannot be kept.
    """
    by, made_of_judged = judged or (subject, made)
    photos, held_out = subject.model.photos, by.model.photos.val
    labels = labels_of(held_out)
    val = by.answers(made_of_judged, held_out, "validation")
    test = subject.answers(made, photos.test, "test") if photos.test else None
    refused = _outside(tolerance, made_of_judged, val, labels)
    if by is not subject:
        itself = subject.answers(made, held_out, "validation")
        refused = _outside(tolerance, made, itself) | refused
    if test is not None:
        # What the network itself says of them is known without their labels, which only report.
        refused = _outside(tolerance, made, test) | refused

    temperature = fit_temperature(val[REFERENCE], labels)
    open_set = fit_open_set(val[REFERENCE], f"{len(labels):,} validation photos of {photos.name}")

    def figures_of(name: str, megabytes: float) -> TargetFigures:
        def of(logits: Mapping[str, Logits], asked: tuple[Photo, ...], part: str) -> Verification:
            return verify(
                logits[name], logits[REFERENCE], labels_of(asked), temperature, UNKNOWN_THRESHOLD,
                f"{len(asked):,} {part} photos of {photos.name}", open_set,
            )  # fmt: skip

        of_test = None if test is None else of(test, photos.test, "test")
        return TargetFigures(megabytes, of(val, held_out, "validation"), of_test)

    model = subject.model
    network = NetworkFigures(
        count_macs(model.network, model.info.preprocess.input_size),
        count_parameters(model.network),
        figures_of(REFERENCE, sum(tensor.nbytes for tensor in model.weights.values()) / 1e6),
    )
    asked = [val] if test is None else [val, test]
    finite = [name for name in made if all(np.isfinite(part[name]).all() for part in asked)]
    return Accepted(
        {name: item for name, item in made.items() if name not in refused},
        refused,
        network,
        {name: figures_of(name, made[name].megabytes) for name in finite},
        temperature,
        open_set,
    )


def leave_out(accepted: Accepted, say: Callable[[str], None], advice: str = "") -> None:
    """Say which targets stay out of the bundle.

    Args:
        accepted: the targets.
        say: told why, a line at a time.
        advice: what may help an INT8 target, as the rest of a sentence.

    Raises:
        BackendError: all do.
    """
    told = {
        name: why + (advice if TARGETS[name].quantized else "")
        for name, why in accepted.refused.items()
    }
    if not accepted.made:
        raise BackendError("; ".join(f"{name} {why}" for name, why in told.items()))
    for name, why in told.items():
        say(f"{name} is left out: it {why}")


def even_with(made: Made) -> str:
    """What accuracy control did for a target in vain, as the rest of a sentence."""
    return f" even with {len(made.in_float)} layers in float" if made.in_float else ""


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
            refused[name] = why + even_with(item)
    return refused
