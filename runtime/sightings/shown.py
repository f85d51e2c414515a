"""Sightings at the terminal: tables for people, JSON Lines for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from . import Sighting
from .plain import as_dict
from .records import Count


def print_list(sightings: Sequence[Sighting], *, as_json: bool) -> None:
    """A row each."""
    if as_json:
        _print_json(as_dict(sighting) for sighting in sightings)
        return
    _print_table(
        ("ID", "When", "Stay", "Species", "Probability", ""),
        (
            (
                sighting.id[:8],
                _local(sighting.start),
                f"{sighting.seconds:.0f} s",
                sighting.name,
                _how_sure(sighting),
                "favourite" if sighting.favourite else "",
            )
            for sighting in sightings
        ),
        right=("Stay", "Probability"),
    )


def print_one(sighting: Sighting, store: Path, *, as_json: bool) -> None:
    """All that is known of one."""
    if as_json:
        _print_json([as_dict(sighting)])
        return
    answer, unweighted = sighting.answer, sighting.unweighted
    rows = [
        ("id", sighting.id),
        ("what", sighting.name),
        ("scientific name", sighting.scientific_name or "-"),
        ("how sure", _how_sure(sighting)),
        ("the model said", f"{answer.name} {answer.probability:.1%}" if answer else "unknown"),
        ("anywhere, any time", f"{unweighted.name} {unweighted.probability:.1%}"
         if unweighted and unweighted != answer else ""),
        ("or else", ", ".join(
            f"{it.name} {it.probability:.1%}" for it in sighting.runners_up
            if it.probability >= 0.005
        )),
        ("came", _local(sighting.start)),
        ("left", _local(sighting.end) if sighting.ended else "not seen to leave"),
        ("camera", sighting.source),
        ("views", f"{sighting.votes:,}"),
        ("model", sighting.model_id),
        ("picture", str(store / sighting.picture) if sighting.picture else "none"),
        ("favourite", "yes" if sighting.favourite else ""),
    ]  # fmt: skip
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        if value:
            sys.stdout.write(f"{name:<{width}}  {value}\n")


def print_counts(counts: Sequence[Count], *, as_json: bool) -> None:
    """A row a species."""
    if as_json:
        _print_json(vars(count) for count in counts)
        return
    _print_table(
        ("Species", "Visits", "Days", "In all", "First", "Last"),
        (
            (
                count.common_name or count.scientific_name or "unknown",
                f"{count.visits:,}",
                f"{count.days:,}",
                f"{count.seconds / 60:,.1f} min",
                # The day; with the time, the table would not fit 80 columns.
                _local(datetime.fromisoformat(count.first))[:10],
                _local(datetime.fromisoformat(count.last))[:10],
            )
            for count in counts
        ),
        right=("Visits", "Days", "In all"),
    )


def _how_sure(sighting: Sighting) -> str:
    if sighting.correction is not None:
        return "corrected"
    return f"{sighting.answer.probability:.1%}" if sighting.answer else "-"


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _print_json(lines: Iterable[Any]) -> None:
    for line in lines:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


def _print_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()
) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for head in heads:
        # Where the terminal is narrow, rows take more lines; nothing is cut.
        table.add_column(head, justify="right" if head in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # What goes into a pipe or a file must not be cut to a terminal's width.
    Console(width=None if sys.stdout.isatty() else 200).print(table)
