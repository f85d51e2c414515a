"""The overview as Markdown, and all figures as CSV."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from ...runtime.errors import DataError
from ..results import Report
from .columns import LEFT, notes_of, overview

_START, _END = "<!-- bench -->", "<!-- /bench -->"


def as_markdown(report: Report, *, brief: bool = False) -> str:
    """The overview in Markdown, with its notes below; see `overview`."""
    peers = not brief
    grid = overview(report, brief=brief, peers=peers)
    aligned = [":---" if name in LEFT else "---:" for name in grid.head]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (grid.head, aligned, *grid.rows))
    notes = notes_of(report, peers=peers)
    return table + "\n\n" + "\n".join(f"- {note}" for note in notes) + "\n"


def put_into(path: Path, text: str) -> None:
    """Put a text between ``<!-- bench -->`` and ``<!-- /bench -->`` in a file.

    Raises:
        DataError: the file cannot be read or written, or has no such marks.
    """
    try:
        before = path.read_text(encoding="utf-8")
        start, end = (before.find(mark) for mark in (_START, _END))
        if start < 0 or end < start:
            raise DataError(f"{path} has no lines {_START} and {_END} to put a table between")
        path.write_text(f"{before[:start]}{_START}\n{text}{before[end:]}", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file") from error


def as_csv(report: Report) -> str:
    """Every figure of every row, a column each: numbers alone, in the units of `results`."""
    flat = [dict(_flat(row.model_dump(exclude={"latency": {"rounds"}}))) for row in report.rows]
    # A figure that is an interval in one row and missing in another must not be two columns.
    names = list(dict.fromkeys(name for row in flat for name in row))
    names = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _flat(values: dict[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if name == "right":
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            yield from ((f"{before}{name}.{number}", one) for number, one in enumerate(value))
        else:
            yield f"{before}{name}", value
