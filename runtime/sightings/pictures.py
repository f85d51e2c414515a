"""The pictures of sightings: one JPEG each, in dated folders, within a budget."""

import io
import re
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import Sighting
from .database import transaction
from .rows import to_text

FOLDER = "pictures"

_QUALITY = 90


@dataclass(frozen=True)
class Budget:
    """What pictures may take; their sightings' rows are small and stay.

    Attributes:
        bytes: of all pictures together.
        days: that they are kept.
    """

    bytes: int = 4_000_000_000
    days: float = 3650.0


def encoded(pixels: NDArray[np.uint8]) -> bytes:
    """RGB ``[h, w, 3]`` as JPEG."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "jpeg", quality=_QUALITY)
    return content.getvalue()


def write_picture(store: Path, sighting: Sighting, jpeg: bytes) -> str:
    """Write a sighting's picture, whole or not at all; its name below the store.

    Raises:
        OSError: there is no space left, or no permission.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "_", sighting.name).strip("_")[:60]
    file = f"{sighting.start:%H%M%S}-{name}-{sighting.id[:8]}.jpg"
    path = store / FOLDER / f"{sighting.start:%Y/%m/%d}" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    try:
        draft.write_bytes(jpeg)
        draft.rename(path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    return path.relative_to(store).as_posix()


def remove_orphans(connection: sqlite3.Connection, store: Path) -> int:
    """Delete pictures that no row knows, as a process leaves them that was killed in between."""
    known = {row[0] for row in connection.execute("SELECT picture FROM sightings")}
    count = 0
    for path in (store / FOLDER).glob("*/*/*/*"):
        if path.relative_to(store).as_posix() not in known:
            path.unlink(missing_ok=True)
            count += 1
    return count


def prune(connection: sqlite3.Connection, store: Path, budget: Budget, now: datetime | None) -> int:
    """Delete the oldest pictures beyond the budget, but for favourites and first ones.

    The first of a species is kept whatever its age.

    Args:
        connection: of the store's database.
        store: the store's folder.
        budget: what pictures may take.
        now: the time, to tell their age by; none if it cannot be trusted.

    Returns:
        How many were deleted.
    """
    sizes = {path: path.stat().st_size for path in (store / FOLDER).glob("*/*/*/*.jpg")}
    surplus = sum(sizes.values()) - budget.bytes
    oldest = to_text(now - timedelta(days=budget.days)) if now else ""
    doomed = []
    for id_, start, name in connection.execute(_PRUNABLE):
        if surplus <= 0 and start >= oldest:
            break
        surplus -= sizes.get(store / name, 0)
        doomed.append((id_, name))
    # Rows first: one without its picture is complete, a picture without a row is lost.
    with transaction(connection):
        connection.executemany(
            "UPDATE sightings SET picture = NULL WHERE id = ?", [(id_,) for id_, _ in doomed]
        )
    for _, name in doomed:
        (store / name).unlink(missing_ok=True)
    return len(doomed)


_PRUNABLE = """
    SELECT id, start, picture FROM sightings
    WHERE picture IS NOT NULL AND NOT favourite AND ended AND rowid NOT IN (
        SELECT MIN(rowid) FROM sightings
        GROUP BY IIF(corrected_at IS NULL, scientific_name, corrected_scientific_name)
    )
    ORDER BY rowid
"""
