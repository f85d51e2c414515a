"""Visits for people (a line each) and for programs (JSON Lines)."""

import json
import sys
from typing import Any, Protocol

from .errors import one_line
from .predictions import Candidate, Prediction
from .printing import ANIMAL, classified
from .visits import Visit


class VisitPrinter(Protocol):
    """Says visits, one by one."""

    def add(self, visit: Visit) -> None:
        """Say one visit, at once."""


class VisitJson:
    """One JSON object a visit; see `as_line`."""

    def __init__(self, top_k: int) -> None:
        self._top_k = top_k

    def add(self, visit: Visit) -> None:
        """Write one line."""
        line = as_line(visit, self._top_k)
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def as_line(visit: Visit, top_k: int) -> dict[str, Any]:
    """A visit for programs, with the keys that pictures have.

    ``seconds`` is when it began, since the source did. A visit adds ``id``, ``start``, ``end`` (in
    UTC), ``votes`` and, where it differs, what it was ``unweighted``; ``captured_at`` and
    ``detections`` are those of its best view.
    """
    box = [round(share, 4) for share in visit.best.box]
    line: dict[str, Any] = {
        "filepath": visit.source,
        "id": visit.id,
        "seconds": round(visit.since, 3),
        "start": visit.start.isoformat(),
        "end": visit.end.isoformat(),
        "votes": visit.votes,
        "captured_at": visit.best.captured_at.isoformat(),
        **classified(visit.prediction, top_k, [{**ANIMAL, "bbox": box}]),
    }
    if visit.unweighted.answer != visit.prediction.answer:
        line["unweighted"] = visit.unweighted.name
    return line | {"model_version": visit.model_id}


class VisitLines:
    """One line a visit: when, how long, how sure, what, and what else it may have been.

    Args:
        top_k: how many species are told.
        by_clock: whether it is told when by the clock, or by the time since the source began.
    """

    def __init__(self, top_k: int, *, by_clock: bool) -> None:
        self._top_k = top_k
        self._by_clock = by_clock

    def add(self, visit: Visit) -> None:
        """Print one line."""
        prediction = visit.prediction
        line = (
            f"{self._when(visit)}  {visit.seconds:5.1f} s  {prediction.probability:6.1%}  "
            f"{prediction.name}"
        )
        if others := _others(prediction, self._top_k):
            line += f"  ({others})"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def _when(self, visit: Visit) -> str:
        if self._by_clock:
            return f"{visit.start.astimezone():%Y-%m-%d %H:%M:%S}"
        minutes, seconds = divmod(visit.since, 60)
        return f"{one_line(visit.source)} {int(minutes)}:{seconds:04.1f}"


def _others(prediction: Prediction, top_k: int) -> str:
    """What else it may be, but for what is too unlikely to be worth a word."""
    answer: Candidate | None = prediction.answer
    others = [other for other in prediction.ranked[:top_k] if other != answer]
    return ", ".join(
        f"{other.label.name} {other.probability:.1%}"
        for other in others
        if other.probability >= 0.005
    )
