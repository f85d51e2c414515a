"""Finding sightings, correcting them, and counting them."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ..errors import StoreError
from . import Sighting
from .rows import select, to_text

_NAME = "IIF(corrected_at IS NULL, {0}, corrected_{0})"
_SCIENTIFIC, _COMMON = _NAME.format("scientific_name"), _NAME.format("common_name")

_FEWEST_DIGITS = 4


@dataclass(frozen=True)
class Wanted:
    """Which sightings.

    Attributes:
        since: that began then or later, in UTC.
        until: that began before, in UTC.
        species: whose scientific or common name has this in it, in any case.
        unknown: also those that are unknown, or that a person calls no bird.
        newest: so many of the newest; all if not given.
    """

    since: datetime | None = None
    until: datetime | None = None
    species: str | None = None
    unknown: bool = False
    newest: int | None = None


def find(connection: sqlite3.Connection, wanted: Wanted) -> Iterator[Sighting]:
    """Sightings, oldest first."""
    clauses, values = [], []
    if wanted.since is not None:
        clauses.append("start >= ?")
        values.append(to_text(wanted.since))
    if wanted.until is not None:
        clauses.append("start < ?")
        values.append(to_text(wanted.until))
    if wanted.species is not None:
        clauses.append(f"(INSTR(CASEFOLD({_SCIENTIFIC}), ?) OR INSTR(CASEFOLD({_COMMON}), ?))")
        values += [wanted.species.casefold()] * 2
    elif not wanted.unknown:
        clauses.append(f"{_SCIENTIFIC} IS NOT NULL")
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    if wanted.newest is None:
        return select(connection, f"{where} ORDER BY start, rowid", tuple(values))
    newest = f"SELECT rowid FROM sightings {where} ORDER BY start DESC, rowid DESC LIMIT ?"
    return select(
        connection,
        f"WHERE rowid IN ({newest}) ORDER BY start, rowid",
        (*values, wanted.newest),
    )


def get(connection: sqlite3.Connection, id_: str) -> Sighting:
    """The sighting whose id is, or begins like this.

    Raises:
        StoreError: there is none, or more than one.
    """
    if len(id_) < _FEWEST_DIGITS or not id_.isalnum():
        raise StoreError(f"{id_!r} is no sighting; give at least {_FEWEST_DIGITS} digits of its id")
    found = list(select(connection, "WHERE id GLOB ? LIMIT 2", (f"{id_.lower()}*",)))
    if not found:
        raise StoreError(f"there is no sighting {id_}; `birdedge sightings list` shows them")
    if len(found) > 1:
        raise StoreError(f"several sightings begin with {id_}; give more digits")
    return found[0]


def set_favourite(connection: sqlite3.Connection, sighting: Sighting, favourite: bool) -> None:
    """Keep a sighting's picture whatever the budget, or no longer."""
    connection.execute(
        "UPDATE sightings SET favourite = ? WHERE id = ?", (int(favourite), sighting.id)
    )


@dataclass(frozen=True)
class Count:
    """How often a species came.

    Attributes:
        scientific_name: none for unknown.
        common_name: in English.
        visits: how many.
        days: on how many different days, by the machine's own time.
        seconds: that all visits lasted together.
        first: start of the first visit, in UTC, as a text.
        last: start of the last one.
    """

    scientific_name: str | None
    common_name: str
    visits: int
    days: int
    seconds: float
    first: str
    last: str


def count(connection: sqlite3.Connection) -> list[Count]:
    """Each species, the most frequent first; what people call no bird is left out."""
    rows = connection.execute(
        f"""
        SELECT {_SCIENTIFIC}, IFNULL(MAX({_COMMON}), ''), COUNT(*),
            COUNT(DISTINCT DATE(start, 'localtime')), SUM(seconds), MIN(start), MAX(start)
        FROM sightings WHERE NOT (corrected_at NOT NULL AND corrected_scientific_name IS NULL)
        GROUP BY 1 ORDER BY 3 DESC, 1
        """
    )
    return [Count(*row) for row in rows]
