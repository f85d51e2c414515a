"""Sightings as rows of the database, and back."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from . import Correction, Guess, Sighting


def save(connection: sqlite3.Connection, sighting: Sighting) -> None:
    """Insert a sighting, or bring the one of the same id up to date.

    What a person said of it meanwhile stays.
    """
    row = _row(sighting)
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name != "id")
    connection.execute(
        f"INSERT INTO sightings ({names}) VALUES ({values}) "
        f"ON CONFLICT (id) DO UPDATE SET {changes}",
        row,
    )


def correct(connection: sqlite3.Connection, id_: str, correction: Correction | None) -> None:
    """Keep what a person says of a sighting, or forget it."""
    connection.execute(
        "UPDATE sightings SET corrected_at = ?, corrected_scientific_name = ?, "
        "corrected_common_name = ?, corrected_ebird_code = ? WHERE id = ?",
        (
            correction and to_text(correction.corrected_at),
            correction and correction.scientific_name,
            correction and correction.common_name,
            correction and correction.ebird_code,
            id_,
        ),
    )


def select(
    connection: sqlite3.Connection, where: str = "", values: tuple[Any, ...] = ()
) -> Iterator[Sighting]:
    """Sightings, as an SQL clause chooses and orders them."""
    for row in connection.execute(f"SELECT * FROM sightings {where}", values):
        yield _sighting(row)


def to_text(moment: datetime) -> str:
    """A moment in UTC as it is kept: as a text it sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _row(sighting: Sighting) -> dict[str, Any]:
    answer, unweighted = sighting.answer, sighting.unweighted
    return {
        "id": sighting.id,
        "source": sighting.source,
        "start": to_text(sighting.start),
        "seconds": round(sighting.seconds, 3),
        "scientific_name": answer and answer.scientific_name,
        "common_name": answer and answer.common_name,
        "probability": answer and answer.probability,
        "ebird_code": sighting.ebird_code,
        "unweighted_scientific_name": unweighted and unweighted.scientific_name,
        "unweighted_common_name": unweighted and unweighted.common_name,
        "unweighted_probability": unweighted and unweighted.probability,
        "runners_up": json.dumps(
            [[other.scientific_name, other.common_name, other.probability]
             for other in sighting.runners_up]
        ),
        "votes": sighting.votes,
        "model_id": sighting.model_id,
        "box": json.dumps(sighting.box),
        "pictured_at": to_text(sighting.pictured_at),
        "picture": sighting.picture,
        "ended": int(sighting.ended),
    }  # fmt: skip


def _sighting(row: sqlite3.Row) -> Sighting:
    corrected_at = row["corrected_at"]
    return Sighting(
        id=row["id"],
        source=row["source"],
        start=_moment(row["start"]),
        seconds=row["seconds"],
        answer=_guess(row, ""),
        unweighted=_guess(row, "unweighted_"),
        runners_up=tuple(Guess(*other) for other in json.loads(row["runners_up"])),
        ebird_code=row["ebird_code"],
        votes=row["votes"],
        model_id=row["model_id"],
        box=tuple(json.loads(row["box"])),
        pictured_at=_moment(row["pictured_at"]),
        picture=row["picture"],
        ended=bool(row["ended"]),
        correction=Correction(
            row["corrected_scientific_name"],
            row["corrected_common_name"],
            row["corrected_ebird_code"],
            _moment(corrected_at),
        )
        if corrected_at
        else None,
        favourite=bool(row["favourite"]),
    )


def _guess(row: sqlite3.Row, prefix: str) -> Guess | None:
    name = row[f"{prefix}scientific_name"]
    if name is None:
        return None
    return Guess(name, row[f"{prefix}common_name"], row[f"{prefix}probability"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
