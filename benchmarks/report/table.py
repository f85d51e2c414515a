"""The table of a report: for a terminal, as Markdown, and as CSV."""

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from ...runtime.errors import DataError
from ..results import Report, Row
from ..samples import Interval

_NONE = "-"

_START, _END = "<!-- bench -->", "<!-- /bench -->"


def lines_of(report: Report) -> tuple[list[str], list[list[str]]]:
    """Head and cells of the table; a contender that failed has a dash where it has no figure."""
    best = max((row.accuracy.top1.value for row in report.rows if row.accuracy), default=0.0)
    columns: dict[str, Callable[[Row], str]] = {
        "model": lambda row: row.model,
        "target": lambda row: row.name,
        "threads": lambda row: str(row.threads),
        "size MB": lambda row: _number(row.megabytes, 1),
        "top-1": lambda row: _share(row.accuracy.top1) if row.accuracy else _NONE,
        "top-5": lambda row: f"{row.accuracy.top5.value:.1%}" if row.accuracy else _NONE,
        "drop": lambda row: _drop(row, best),
        "agreement": lambda row: (
            f"{row.accuracy.agreement.value:.1%}"
            if row.accuracy and row.accuracy.agreement
            else _NONE
        ),
        "p50 ms": lambda row: _interval(row.latency.p50) if row.latency else _NONE,
        "p95": lambda row: _number(row.latency.p95 if row.latency else None, 1),
        "p99": lambda row: _number(row.latency.p99 if row.latency else None, 1),
        "ratio": lambda row: (
            _interval(row.latency.ratio, 2) if row.latency and row.latency.ratio else _NONE
        ),
        "images/s": lambda row: _number(row.latency.images_per_second if row.latency else None, 1),
        "start s": lambda row: _number(row.cold_start.total if row.cold_start else None, 2),
        "peak MB": lambda row: _number(row.peak_megabytes, 0),
        "of limit": lambda row: f"{row.share_of_peak:.0%}" if row.share_of_peak else _NONE,
        "mJ": lambda row: _number(row.joules * 1000 if row.joules else None, 0),
    }
    cells = {name: [cell(row) for row in report.rows] for name, cell in columns.items()}
    filled = {name: column for name, column in cells.items() if set(column) != {_NONE}}
    return list(filled), [list(row) for row in zip(*filled.values(), strict=True)]


def notes_of(report: Report) -> list[str]:
    """What must be known to read the table."""
    machine = report.environment
    notes = [
        f"{machine.processor}, {machine.cores} cores, {', '.join(machine.features) or 'no vectors'}"
        f"; {machine.system}, Python {machine.python}; "
        + ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    ]
    if report.photos:
        notes.append(
            f"{report.photos}. Accuracies have 95 % Wilson intervals; medians, and ratios to the "
            "first row's in the same rounds, have bootstrap intervals over rounds."
        )
    notes += [f"WARNING: {warning}" for warning in machine.warnings()]
    if report.interrupted:
        notes.append("WARNING: this run was ended before it was done")
    notes += [
        f"{row.model} {row.name}, {row.threads} threads: {row.problem}"
        for row in report.rows
        if row.problem
    ]
    return notes


def as_markdown(report: Report) -> str:
    """The table in Markdown, with its notes below."""
    head, rows = lines_of(report)
    aligned = [":---" if name in ("model", "target") else "---:" for name in head]
    lines = [head, aligned, *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return table + "\n\n" + "\n".join(f"- {note}" for note in notes_of(report)) + "\n"


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
            yield from ((f"{before}{name}.{number}", one) for number, one in enumerate(value, 1))
        else:
            yield f"{before}{name}", value


def _drop(row: Row, best: float) -> str:
    if row.accuracy is None:
        return _NONE
    points = (row.accuracy.top1.value - best) * 100
    return f"{points:+.1f}" if round(points, 1) else "0.0"


def _number(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _interval(interval: Interval, digits: int = 1) -> str:
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _share(share: Interval) -> str:
    return f"{share.value:.1%} [{share.low * 100:.1f}, {share.high * 100:.1f}]"


def put_into(path: Path, text: str) -> None:
    """Put a text between ``<!-- bench -->`` and ``<!-- /bench -->`` in a file.

    Raises:
        DataError: the file cannot be read, or has no such marks.
    """
    try:
        before = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    start, end = (before.find(mark) for mark in (_START, _END))
    if start < 0 or end < start:
        raise DataError(f"{path} has no lines {_START} and {_END} to put a table between")
    path.write_text(f"{before[:start]}{_START}\n{text}{before[end:]}", encoding="utf-8")
