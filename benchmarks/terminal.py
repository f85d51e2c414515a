"""`birdedge bench` before the eyes of whoever runs it: progress, the table, what was written."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..runtime.errors import DataError
from ..runtime.stopping import INTERRUPTED, stopped_by_signals
from ..runtime.telling import say
from .bench import Wanted, run
from .compare import Change, warnings
from .recommend import recommend, take
from .report.columns import LEFT, notes_of, overview
from .report.page import as_page
from .report.plots import write_png
from .report.table import as_csv, as_markdown
from .results import Report, now, write_report

_LINE_SECONDS = 10.0

_VERDICT = ""
"""The column that says what is wrong has no name."""

Limits = tuple[float, float | None]


def run_and_show(wanted: Wanted, out: Path | None, limits: Limits | None, as_json: bool) -> int:
    """Run, say how far it is, print what came out and write it down.

    Args:
        wanted: what is to be compared.
        out: a folder; one named by the time if not given.
        limits: points and milliseconds that a recommendation may take; none for none.
        as_json: print the report as JSON.

    Returns:
        The exit code.

    Raises:
        DataError: the folder cannot be written to.
    """
    folder = out or Path("bench") / f"{now():%Y%m%d-%H%M%S}"
    _make(folder)
    with stopped_by_signals() as stop, _progress() as tell:
        report = run(wanted, tell, lambda part: _write(part, folder), stop)
    # A disk that is full by now must not cost what was measured.
    if as_json:
        sys.stdout.write(report.model_dump_json() + "\n")
    else:
        _print(report)
    written = _write(report, folder) and _write_others(report, folder)
    if written:
        say(f"{folder / 'bench.html'} has the plots, bench.json and bench.csv all figures")
    code = 0 if written and any(row.latency or row.accuracy for row in report.rows) else 1
    if limits is not None and not report.interrupted:
        choice = recommend(report, *limits)
        for reason in choice.reasons:
            say(reason)
        if choice.row is None:
            say("nothing here meets these limits")
            code = 1
        else:
            for taken in take(report, list(wanted.bundles), *limits):
                say(f"`--target auto` takes {taken}")
    return INTERRUPTED if report.interrupted else code


def show_changes(old: Report, new: Report, changes: Sequence[Change], as_json: bool) -> int:
    """Print how contenders changed; the exit code."""
    for warning in warnings(old, new):
        say(f"warning: {warning}")
    if as_json:
        for change in changes:
            sys.stdout.write(json.dumps(_as_object(change)) + "\n")
    else:
        _print_table(
            ["model", "target", "threads", "new / old", "points", "by chance", _VERDICT],
            [_cells(change) for change in changes],
        )
    return 1 if any(change.is_regression for change in changes) else 0


def _as_object(change: Change) -> dict[str, object]:
    row = change.row
    slower = change.slower.model_dump() if change.slower else None
    rest = asdict(change) | {"row": None, "slower": slower, "regression": change.is_regression}
    rest.pop("row")
    named = {"model": row.model, "target": row.name, "threads": row.threads}
    return named | rest


def _cells(change: Change) -> list[str]:
    slower = change.slower
    verdicts = [
        f"no longer measured: {change.lost}" if change.lost else "",
        "slower" if change.too_slow else "",
        "less often right" if change.less_right else "",
    ]
    return [
        change.row.model,
        change.row.name,
        str(change.row.threads),
        f"{slower.value:.3f} [{slower.low:.3f}, {slower.high:.3f}]" if slower else "-",
        "-" if change.points is None else f"{change.points:+.2f}",
        "-" if change.chance is None else f"{change.chance:.2f}",
        ", ".join(verdict for verdict in verdicts if verdict),
    ]


def _print(report: Report) -> None:
    grid = overview(report)
    if sys.stdout.isatty() and _width(grid.head, grid.rows) > Console().width:
        grid = overview(report, brief=True)
    _print_table(grid.head, grid.rows)
    for note in notes_of(report):
        say(note)


def _width(head: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Columns of a terminal that a table takes."""
    return sum(max(map(len, column)) + 1 for column in zip(head, *rows, strict=True))


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Boxes for a terminal; for other programs and narrow pipes, columns two spaces apart."""
    console = Console(soft_wrap=not sys.stdout.isatty())
    if not sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for cells in (head, *rows):
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            sys.stdout.write("  ".join(padded).rstrip() + "\n")
        return
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in head:
        left = name in (*LEFT, _VERDICT)
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    for cells in rows:
        # Brackets in a reason are brackets.
        table.add_row(*map(Text, cells))
    console.print(table)


def _make(folder: Path) -> None:
    """Before an hour of measuring, not after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench.tmp").touch()
        (folder / "bench.tmp").unlink()
    except OSError as error:
        raise DataError(f"cannot write to {folder}: {error.strerror}") from error


def _write(report: Report, folder: Path) -> bool:
    """The figures; false, and a line, where there is no space for them."""
    try:
        write_report(report, folder / "bench.json")
    except OSError as error:
        say(f"cannot write to {folder}: {error.strerror}")
        return False
    return True


def _write_others(report: Report, folder: Path) -> bool:
    """What can be made of the figures again."""
    try:
        (folder / "bench.csv").write_text(as_csv(report), encoding="utf-8")
        (folder / "bench.md").write_text(as_markdown(report), encoding="utf-8")
        (folder / "bench.html").write_text(as_page(report), encoding="utf-8")
        write_png(report, folder / "bench.png")
    except OSError as error:
        say(f"cannot write to {folder}: {error.strerror}")
        return False
    return True


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """How far it is, on standard error: one line that changes, or in a log some lines."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("") as status:
            yield lambda text: status.update(Text(text))
        return
    last = float("-inf")

    def tell(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            say(text)

    yield tell
