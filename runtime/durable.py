"""Files that are written whole or not at all and, where asked, outlast a power cut."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# As PostgreSQL has it: network file systems may know no fsync of a folder, and a folder that may be
# written to may yet not be read.
_NOT_OF_FOLDERS = (errno.EACCES, errno.EBADF, errno.EINVAL)


@contextmanager
def atomic_write(path: Path, *, to_disk: bool = False) -> Iterator[Path]:
    """A draft to be written, which takes the place of a file at the end; see rename(2).

    Whoever reads the file finds the old or the new one, whole. If the block fails, the draft is
    gone and the file is as it was; if the process is killed, the draft is overwritten by the next
    one. Who may write one file at the same time needs a lock.

    Args:
        path: the file, whether or not it is there yet, in a folder that is.
        to_disk: have the new one survive a power cut from here on: its content, then its name.

    Yields:
        `draft_of` the file; nothing is there yet.

    Raises:
        OSError: the draft cannot be moved to its place, or not be brought to disk.
    """
    draft = draft_of(path)
    # Of a process that was killed.
    draft.unlink(missing_ok=True)
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


def draft_of(path: Path) -> Path:
    """Where a file is written before it takes its place: hidden, beside it."""
    return path.with_name(f".{path.name}.new")


def sync_to_disk(path: Path) -> None:
    """Have a file's content, or a folder's names, survive a power cut; see fsync(2).

    Raises:
        OSError: it is not there, or the card is full or failing.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOT_OF_FOLDERS or not path.is_dir():
            raise
