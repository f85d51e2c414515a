"""Which targets may enter a bundle, and what all of them can do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import BackendError
from ..runtime.manifest import OpenSet
from ..train.layouts import Photo
from .card import TargetFigures
from .confidence import UNKNOWN_THRESHOLD, fit_open_set, fit_temperature
from .make import Made
from .photos import labels_of
from .subject import Subject
from .targets import TARGETS
from .tolerance import Tolerance
from .verify import REFERENCE, Logits, Verification, verify

_ADVICE = (
    "; try another --calibration, more --calibration-photos, --quantization-aware 2, or allow it"
)


@dataclass(frozen=True)
class Accepted:
    """What targets are like.

    Attributes:
        made: those that keep to the tolerance, by name.
        refused: why others do not.
        figures: of all whose logits are finite.
        temperature: makes the network's logits probabilities.
        open_set: what is unknown.
    """

    made: Mapping[str, Made]
    refused: Mapping[str, str]
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
        DataError: a photo cannot be looked at.
        BackendError: an engine cannot run a target.
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

    def figures_of(name: str, item: Made) -> TargetFigures:
        def of(logits: Mapping[str, Logits], asked: tuple[Photo, ...], part: str) -> Verification:
            return verify(
                logits[name], logits[REFERENCE], labels_of(asked), temperature, UNKNOWN_THRESHOLD,
                f"{len(asked):,} {part} photos of {photos.name}", open_set,
            )  # fmt: skip

        of_test = None if test is None else of(test, photos.test, "test")
        return TargetFigures(item.megabytes, of(val, held_out, "validation"), of_test)

    asked = [val] if test is None else [val, test]
    finite = [name for name in made if all(np.isfinite(part[name]).all() for part in asked)]
    return Accepted(
        {name: item for name, item in made.items() if name not in refused},
        refused,
        {name: figures_of(name, made[name]) for name in finite},
        temperature,
        open_set,
    )


def leave_out(accepted: Accepted, say: Callable[[str], None]) -> None:
    """Say which targets stay out of the bundle.

    Raises:
        BackendError: all do.
    """
    if not accepted.made:
        raise BackendError("; ".join(f"{name} {why}" for name, why in accepted.refused.items()))
    for name, why in accepted.refused.items():
        say(f"{name} is left out: it {why}")


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
