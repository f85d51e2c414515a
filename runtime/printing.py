"""Predictions for people (a table, or lines as they come) and for programs (JSON Lines)."""

import json
import sys
from typing import Any, Protocol

from .errors import one_line
from .pipeline import Result
from .predictions import UNKNOWN, Prediction

ANIMAL = {"category": "1", "label": "animal"}
"""One of MegaDetector's categories, as SpeciesNet has them in its detections."""

_HEADS = ("Picture", "Species", "Probability", "Or else")
_GAP = 2
_LEAST_ROOM = 24
"""Columns that a picture's name and what else it may be have to share; with fewer, neither says
anything."""


class Printer(Protocol):
    """Says results, one by one."""

    def add(self, result: Result) -> None:
        """Take one result."""

    def finish(self) -> None:
        """Say what has not been said yet."""


class JsonLines:
    """One JSON object a line, with the keys of SpeciesNet's batch output.

    ``filepath``, ``classifications`` (``classes`` and ``scores``, best first), ``detections``
    (``bbox`` of the part of a frame that was named: left, top, width and height as shares),
    ``prediction``, ``prediction_score``, ``model_version``; frames add ``frame``, ``seconds`` and
    ``captured_at``; what failed has ``failures`` and ``error`` instead of classifications.
    """

    def __init__(self, model_version: str, top_k: int) -> None:
        self._model_version = model_version
        self._top_k = top_k

    def add(self, result: Result) -> None:
        """Write one line, at once."""
        line: dict[str, Any] = {"filepath": result.name}
        if result.frame is not None:
            line |= {
                "frame": result.frame.number,
                "seconds": round(result.frame.seconds, 3),
                "captured_at": result.frame.captured_at.isoformat(),
            }
        if result.prediction is None:
            line |= {"failures": ["CLASSIFIER"], "error": result.error}
        else:
            line |= classified(result.prediction, self._top_k, _detections(result))
        line["model_version"] = self._model_version
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def finish(self) -> None:
        """Nothing is held back."""


class TableOfResults:
    """A table at the end, for terminals; failures are told on standard error by the command.

    Species and probabilities are never cut. What else it may be is, and so are the pictures' names,
    in front, where those of one folder are alike. A terminal too narrow even for that gets lines.

    Args:
        top_k: how many species are told.
    """

    def __init__(self, top_k: int) -> None:
        self._top_k = top_k
        self._named: list[tuple[Result, Prediction]] = []

    def add(self, result: Result) -> None:
        """Keep what becomes a row."""
        if result.prediction is not None:
            self._named.append((result, result.prediction))

    def finish(self) -> None:
        """Print the table."""
        if not self._named:
            return
        from rich.cells import cell_len
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console()
        rows = [
            (_where(result), it.name, f"{it.probability:.1%}", _others(it, self._top_k))
            for result, it in self._named
        ]
        names, species, probability, others = (
            max(map(cell_len, column)) for column in zip(_HEADS, *rows, strict=True)
        )
        room = console.width - species - probability - 3 * _GAP
        if room < _LEAST_ROOM:
            lines = Lines(self._top_k)
            for result, _ in self._named:
                lines.add(result)
            return
        names = min(names, max(room - others, room // 2))
        table = Table(box=None, header_style="dim", pad_edge=False)
        for head in _HEADS:
            table.add_column(head, justify="right" if head == "Probability" else "left")
        for (_, it), (name, answer, sure, other) in zip(self._named, rows, strict=True):
            while cell_len(name) > names:
                name = "\N{HORIZONTAL ELLIPSIS}" + name[2:]
            style = "bold green" if it.species else "yellow"
            rest = Text(other, style="dim")
            rest.truncate(room - names, overflow="ellipsis")
            table.add_row(Text(name), Text(answer, style=style), Text(sure), rest)
        console.print(table)


class Lines:
    """One line a picture, as it comes and never cut.

    For what never ends, videos and cameras; and for pipes and files, which have no width that a
    table could fit into, and nobody who waits for its last row. No Rich is imported.

    Args:
        top_k: how many species are told.
    """

    def __init__(self, top_k: int) -> None:
        self._top_k = top_k

    def add(self, result: Result) -> None:
        """Print one line."""
        if result.prediction is None:
            return
        prediction = result.prediction
        line = f"{_where(result):<24}  {prediction.probability:6.1%}  {prediction.name}"
        if others := _others(prediction, self._top_k):
            line += f"  ({others})"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def finish(self) -> None:
        """Nothing is held back."""


def classified(
    prediction: Prediction, top_k: int, detections: list[dict[str, Any]]
) -> dict[str, Any]:
    """A prediction under SpeciesNet's keys."""
    best = prediction.ranked[:top_k]
    answer = prediction.answer
    return {
        "classifications": {
            "classes": [str(candidate.label) for candidate in best],
            "scores": [round(candidate.probability, 4) for candidate in best],
        },
        "detections": detections,
        "prediction": str(answer.label) if answer else UNKNOWN,
        "prediction_score": round(prediction.probability, 4),
    }


def _detections(result: Result) -> list[dict[str, Any]]:
    if result.box is None or result.frame is None:
        return []
    left, top, right, bottom = result.box
    height, width = result.frame.pixels.shape[:2]
    bbox = (left / width, top / height, (right - left) / width, (bottom - top) / height)
    return [{**ANIMAL, "bbox": [round(share, 4) for share in bbox]}]


def _others(prediction: Prediction, top_k: int) -> str:
    """The next guesses; where the answer is "unknown", the first one is worth showing too."""
    others = prediction.ranked[1 if prediction.species else 0 : top_k]
    return ", ".join(f"{guess.label.name} {guess.probability:.1%}" for guess in others)


def _where(result: Result) -> str:
    name = one_line(result.name)
    if result.frame is None:
        return name
    minutes, seconds = divmod(result.frame.seconds, 60)
    return f"{name} {int(minutes)}:{seconds:04.1f}"
