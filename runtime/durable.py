"""Files that are written whole or not at all, and are on the card though the power goes the next
moment.
"""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DRAFT = ".new-"
_A_DAY = 86_400


@contextmanager
def atomic_write(path: Path, *, to_disk: bool = False) -> Iterator[Path]:
    """A draft to be written, which takes the place of a file at the end; see rename(2).

    Whoever reads the file finds the old or the new one, whole. If the block fails, the draft is
    gone and the file is as it was.

    Args:
        path: the file, whether or not it is there yet, in a folder that is.
        to_disk: have the new one survive a power cut from here on: its content, then its name.

    Yields:
        a path in the same folder, where nothing is yet; hidden, and of no other writer.

    Raises:
        OSError: the draft cannot be moved to its place.
    """
    draft = path.with_name(_DRAFT + os.urandom(8).hex())
    try:
        yield draft
        if to_disk:
            sync_to_disk(draft)
        draft.replace(path)
        if to_disk:
            sync_to_disk(path.parent)
    finally:
        # Ctrl-C, too, may come between.
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Delete what was being written there when a process was killed; not what still may be."""
    for draft in folder.glob(_DRAFT + 16 * "[0-9a-f]"):
        with suppress(OSError):
            if draft.stat().st_mtime < time.time() - _A_DAY:
                draft.unlink()


def sync_to_disk(path: Path) -> None:
    """Have a file's content, or a folder's names, survive a power cut; see fsync(2).

    Raises:
        OSError: it is not there, or the card is full or failing.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Network file systems may know no such thing of a folder; PostgreSQL passes over it, too.
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.ENOTSUP) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
