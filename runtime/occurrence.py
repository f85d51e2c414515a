"""What occurs where the camera stands: a list of species, with the months if one likes."""

import csv
import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import OccurrenceError
from .labels import Label, names_of

OTHERS = "*"
"""Stands for every species that the list does not name."""

_log = logging.getLogger(__name__)


class Occurrence:
    """How common each species is, by month.

    Args:
        weights: ``[classes, 12]``, from 0 (never) to 1. What counts is how they compare: those of
            each month are scaled so that the commonest species has 1.
        birds: which of the classes are birds, ``[classes]``.
    """

    def __init__(self, weights: NDArray[np.float32], birds: NDArray[np.bool_]) -> None:
        commonest = weights[birds].max(axis=0)
        scaled = weights / np.where(commonest > 0, commonest, 1)
        # No bird at all is no matter of place or season.
        self._weights = np.where(birds[:, None], scaled, 1).astype(np.float32)

    def __call__(self, moment: datetime) -> NDArray[np.float32]:
        """Weights ``[classes]`` at a time, by the local calendar."""
        return np.asarray(self._weights[:, moment.astimezone().month - 1])


def read_occurrence(path: Path, labels: Sequence[Label], shown: Sequence[Label] = ()) -> Occurrence:
    """Read a list of species.

    A line is a species' common or scientific name or eBird code, alone, or with one weight from 0
    to 1, or with twelve, January first; ``*`` stands for all others, which do not occur if it is
    missing. Lines that begin with ``#`` are comments.

    Args:
        path: the file, CSV without heads.
        labels: the model's species; others in the list are passed over and told.
        shown: what they are called instead, in the same order; either name will do.

    Raises:
        OccurrenceError: it cannot be read, or names none of the model's species.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                (number, [cell.strip() for cell in row])
                for number, row in enumerate(csv.reader(file), start=1)
                if any(row) and not row[0].startswith("#")
            ]
    except OSError as error:
        raise OccurrenceError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise OccurrenceError(f"{path} is not a text file of species: {error}") from error
    classes = {
        name: number
        # The latter count where both mean something by a name: they are what people see.
        for each in (labels, shown)
        for number, label in enumerate(each)
        for name in names_of(label)
    }
    weights = np.zeros((len(labels), 12), np.float32)
    listed: set[int] = set()
    strange = []
    others = np.zeros(12, np.float32)
    for line, (name, *cells) in rows:
        months = _months(cells, f"{path}, line {line}")
        if name == OTHERS:
            others = months
        elif (number := classes.get(name.lower())) is not None:
            weights[number] = months
            listed.add(number)
        else:
            strange.append(name)
    if not listed:
        raise OccurrenceError(f"{path} names none of the {len(labels):,} species of this model")
    for number in range(len(labels)):
        if number not in listed:
            weights[number] = others
    if strange:
        _log.warning("the model does not know %s", _some(strange))
    return Occurrence(weights, np.array([not label.is_background for label in labels]))


def _months(cells: Sequence[str], where: str) -> NDArray[np.float32]:
    try:
        weights = [float(cell) for cell in cells] or [1.0]
    except ValueError:
        weights = []
    if len(weights) not in (1, 12) or not all(0 <= weight <= 1 for weight in weights):
        raise OccurrenceError(f"{where}: give one weight from 0 to 1, or twelve, or none")
    return np.asarray(weights * (12 // len(weights)), np.float32)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3:,} more of the list" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
