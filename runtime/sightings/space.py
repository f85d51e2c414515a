"""What is left free on the disk that a store is on, and what is set aside for when nothing is."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from ..durable import atomic_write

_ROOM_BYTES = 20_000_000
"""So much is made free together where a sighting found no space: hundreds of pictures, so that the
next ones need not ask again."""

_SPARE = "spare"
_SPARE_BYTES = 1_000_000
"""On a disk that others have filled, SQLite can neither open a database (whose shared memory is a
file) nor write down which pictures are deleted: both take less than this."""


def shortage(store: Path) -> int:
    """Bytes that the disk lacks for sightings to come; 0 where it lacks none."""
    return max(_ROOM_BYTES - shutil.disk_usage(store).free, 0)


def keep_spare(store: Path) -> None:
    """Set a file aside whose space is there when there is none; if there is not even that, none."""
    path = store / _SPARE
    with suppress(OSError):
        if path.exists() or shutil.disk_usage(store).free < 2 * _SPARE_BYTES:
            return
        with atomic_write(path) as draft, draft.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, _SPARE_BYTES)


def release_spare(store: Path) -> None:
    """Make that space free."""
    with suppress(OSError):
        (store / _SPARE).unlink(missing_ok=True)
