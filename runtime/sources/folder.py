"""A folder that grows: what a trail camera uploads, or a program saves."""

import logging
import os
import stat
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray
from watchfiles import Change, watch

from ..errors import ImageError, SourceError
from ..preprocess import read_image
from . import Frame, is_hidden
from .images import PICTURE_SUFFIXES

_PATIENCE_SECONDS = 10.0
"""A picture that is being uploaded cannot be read yet; one that stays as it is never will be."""

_REMEMBERED = 1000

_ROUND_SECONDS = 0.5

_log = logging.getLogger(__name__)


class FolderSource:
    """Pictures that come into a folder or one below it, from now on; each when it is whole.

    Those that lie there already are left alone: after a restart they would come again. What is
    hidden is passed over, as a program's draft that it renames when it is whole. A folder that
    goes, as an unmounted disk does, is waited for.

    Args:
        spec: ``dir:`` and the folder's path.

    Raises:
        SourceError: there is no such folder.
    """

    live = False

    def __init__(self, spec: str) -> None:
        self._folder = Path(spec.removeprefix("dir:"))
        if not self._folder.is_dir():
            raise SourceError(f"{self._folder}: no such folder")
        self._closed = Event()
        self._changed: dict[Path, float] = {}
        self._done: dict[Path, tuple[int, int]] = {}

    def __iter__(self) -> Generator[Frame, None, None]:
        """Pictures as frames, named by their files, until the source is closed."""
        start = time.monotonic()
        for number, (path, pixels) in enumerate(self._whole_pictures()):
            seconds = time.monotonic() - start
            yield Frame(pixels, datetime.now(UTC), str(path), number, seconds)

    def close(self) -> None:
        """End the frames, also those that are being waited for; any thread may call it."""
        self._closed.set()

    def _whole_pictures(self) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
        while not self._closed.is_set():
            # It may go at any moment, also while watching begins.
            with suppress(FileNotFoundError):
                yield from self._while_it_is_there(self._folder.stat())
            if self._closed.is_set():
                return
            _log.warning("%s is gone; waiting until it is back", self._folder)
            gone = time.time()
            while not self._folder.is_dir():
                if self._closed.wait(_ROUND_SECONDS):
                    return
            _log.warning("%s is back", self._folder)
            self._take_since(gone)

    def _while_it_is_there(
        self, folder: os.stat_result
    ) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
        """Pictures until another folder, or none, has this one's name."""
        rounds = watch(
            self._folder,
            watch_filter=lambda _, name: self._is_meant(Path(name)),
            stop_event=self._closed,
            rust_timeout=int(1000 * _ROUND_SECONDS),
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for changes in rounds:
            for change, name in changes:
                self._changed.pop(Path(name), None)
                if change != Change.deleted:
                    self._changed[Path(name)] = time.monotonic()
            for path in list(self._changed):
                pixels = self._read(path)
                if pixels is not None:
                    yield path, pixels
            if not self._is_still(folder):
                return

    def _is_meant(self, path: Path) -> bool:
        # Watching names files in full, walking does as the folder was named.
        below = path.absolute().parts[len(self._folder.absolute().parts) :]
        return path.suffix.lower() in PICTURE_SUFFIXES and not any(map(is_hidden, below))

    def _is_still(self, folder: os.stat_result) -> bool:
        try:
            return os.path.samestat(self._folder.stat(), folder)
        except OSError:
            return False

    def _take_since(self, gone: float) -> None:
        """What was written into a folder made anew before it could be watched."""
        for path in self._folder.rglob("*"):
            with suppress(OSError):
                if self._is_meant(path) and path.stat().st_mtime >= gone - 1:
                    self._changed[path] = time.monotonic()

    def _read(self, path: Path) -> NDArray[np.uint8] | None:
        """A picture that is whole and new; None where it is not, or not yet."""
        try:
            status = path.stat()
            state = status.st_mtime_ns, status.st_size
            # Reading a pipe would wait for somebody to write into it.
            if stat.S_ISREG(status.st_mode) and self._done.get(path) != state:
                pixels = np.asarray(read_image(path))
                self._remember(path, state)
                return pixels
        except OSError:  # gone, or not ours
            pass
        except ImageError as error:
            if time.monotonic() - self._changed[path] < _PATIENCE_SECONDS:
                return None
            _log.warning("%s", error)
        del self._changed[path]
        return None

    def _remember(self, path: Path, state: tuple[int, int]) -> None:
        """Its next change, of rights or of time, must not bring it again."""
        del self._changed[path]
        self._done[path] = state
        if len(self._done) > _REMEMBERED:
            del self._done[next(iter(self._done))]
