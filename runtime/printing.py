"""Predictions for people (a table) and for programs (JSON Lines)."""

import json
import sys
from typing import Any, Protocol

from .classifier import UNKNOWN, Prediction
from .errors import one_line
from .pipeline import Result


class Printer(Protocol):
    """Says results, one by one."""

    def add(self, result: Result) -> None:
        """Take one result."""

    def finish(self) -> None:
        """Say what has not been said yet."""


class JsonLines:
    """One JSON object a line, with the keys of SpeciesNet's batch output.

    ``filepath``, ``classifications`` (``classes`` and ``scores``, best first), ``detections``,
    ``prediction``, ``prediction_score``, ``model_version``; frames add ``frame`` and ``seconds``;
    what failed has ``failures`` and ``error`` instead of classifications.
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
            line |= self._prediction(result.prediction)
        line["model_version"] = self._model_version
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def _prediction(self, prediction: Prediction) -> dict[str, Any]:
        best = prediction.ranked[: self._top_k]
        return {
            "classifications": {
                "classes": [str(candidate.label) for candidate in best],
                "scores": [round(candidate.probability, 4) for candidate in best],
            },
            "detections": [],
            "prediction": str(prediction.species or UNKNOWN),
            "prediction_score": round(prediction.probability, 4),
        }

    def finish(self) -> None:
        """Nothing is held back."""


class TableOfResults:
    """A table at the end; failures are told on standard error by the command."""

    def __init__(self, top_k: int) -> None:
        from rich.table import Table

        self._top_k = top_k
        self._table = Table(box=None, header_style="dim", pad_edge=False)
        self._table.add_column("Picture", overflow="ellipsis", no_wrap=True, ratio=2)
        self._table.add_column("Species", no_wrap=True)
        self._table.add_column("Probability", justify="right", no_wrap=True)
        self._table.add_column("Or else", overflow="ellipsis", no_wrap=True, style="dim", ratio=3)

    def add(self, result: Result) -> None:
        """Add one row."""
        from rich.text import Text

        if result.prediction is None:
            return
        prediction = result.prediction
        style = "bold green" if prediction.species else "yellow"
        # Where the answer is "unknown", the first guess is worth showing among the others.
        others = prediction.ranked[1 if prediction.species else 0 : self._top_k]
        self._table.add_row(
            Text(_where(result)),
            Text(prediction.name, style=style),
            Text(f"{prediction.probability:.1%}"),
            Text(", ".join(f"{c.label.name} {c.probability:.1%}" for c in others)),
        )

    def finish(self) -> None:
        """Print the table."""
        from rich.console import Console
        from rich.measure import Measurement

        if self._table.row_count:
            console = Console()
            # Piped into a file there is no width to fit into; nothing should be cut there.
            if not console.is_terminal:
                console.width = sys.maxsize
                console.width = Measurement.get(console, console.options, self._table).maximum
            console.print(self._table)


class LiveLines:
    """One line a frame, as it comes, for videos and for cameras that never end."""

    def add(self, result: Result) -> None:
        """Print one line."""
        if result.prediction is None:
            return
        prediction = result.prediction
        sys.stdout.write(
            f"{_where(result):<24}  {prediction.probability:6.1%}  {prediction.name}\n"
        )
        sys.stdout.flush()

    def finish(self) -> None:
        """Nothing is held back."""


def _where(result: Result) -> str:
    name = one_line(result.name)
    if result.frame is None:
        return name
    minutes, seconds = divmod(result.frame.seconds, 60)
    return f"{name} {int(minutes)}:{seconds:04.1f}"
