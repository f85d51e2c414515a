"""The pictures of sightings: one JPEG each, in dated folders, within a budget."""

import io
import re
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..durable import atomic_write, draft_of
from . import Sighting
from .database import transaction
from .rows import to_text

FOLDER = "pictures"

_QUALITY = 90
_LARGEST = 1280
"""Pixels of a side: hundreds of pictures may wait in memory, and a whole frame has millions."""

_TOGETHER = 32
"""Pictures that are deleted in one transaction: on a full disk there is no space for many rows."""


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
    """RGB ``[h, w, 3]`` as JPEG, made smaller if it is a large frame's."""
    content = io.BytesIO()
    picture = Image.fromarray(pixels)
    picture.thumbnail((_LARGEST, _LARGEST))
    picture.save(content, "jpeg", quality=_QUALITY)
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
    # Its row is, too, on the card for good when it is committed.
    with atomic_write(path, to_disk=True) as draft:
        draft.write_bytes(jpeg)
    return path.relative_to(store).as_posix()


def remove_half_pictures(store: Path) -> None:
    """Delete what was being written when a process was killed."""
    yesterday = time.time() - 86_400
    for path in (store / FOLDER).glob(f"*/*/*/{draft_of(Path('*.jpg'))}"):
        with suppress(OSError):
            if path.stat().st_mtime < yesterday:
                path.unlink()


def prune(
    connection: sqlite3.Connection,
    store: Path,
    budget: Budget,
    now: datetime | None,
    shortage: int = 0,
) -> int:
    """Delete the oldest pictures beyond the budget, but for favourites and first ones.

    The first of a species is kept whatever its age. Pictures that no row knows, as after a database
    was set aside, go before all others, but only for want of space.

    Args:
        connection: of the store's database.
        store: the store's folder.
        budget: what pictures may take.
        now: the time, to tell their age by; none if it cannot be trusted.
        shortage: bytes to make free on the disk, though they may be within the budget.

    Returns:
        How many were deleted.
    """
    sizes = {
        path.relative_to(store).as_posix(): path.stat().st_size
        for path in sorted((store / FOLDER).glob("*/*/*/*.jpg"))
    }
    surplus = max(sum(sizes.values()) - budget.bytes, shortage)
    oldest = to_text(now - timedelta(days=budget.days)) if now else ""
    known = {row[0] for row in connection.execute("SELECT picture FROM sightings")}
    doomed = []
    for name in sizes:
        if name not in known and surplus > 0:
            surplus -= sizes[name]
            doomed.append((None, name))
    for id_, start, name in connection.execute(_PRUNABLE):
        # Not the end: a clock that was once ahead left young ones among the old.
        if surplus <= 0 and start >= oldest:
            continue
        surplus -= sizes.get(name, 0)
        doomed.append((id_, name))
    for first in range(0, len(doomed), _TOGETHER):
        some = doomed[first : first + _TOGETHER]
        # Rows first: one without its picture is complete, a picture without a row is lost.
        with transaction(connection):
            connection.executemany(
                "UPDATE sightings SET picture = NULL WHERE id = ?",
                [(id_,) for id_, _ in some if id_],
            )
        for _, name in some:
            (store / name).unlink(missing_ok=True)
    return len(doomed)


_PRUNABLE = """
    SELECT id, start, picture FROM sightings
    WHERE picture IS NOT NULL AND NOT favourite AND ended AND rowid NOT IN (
        SELECT MIN(rowid) FROM sightings WHERE picture IS NOT NULL
        GROUP BY IIF(corrected_at IS NULL, scientific_name, corrected_scientific_name)
    )
    ORDER BY rowid
"""
