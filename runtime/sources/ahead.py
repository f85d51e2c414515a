"""Frames read in a thread of their own, while others are being classified."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Generator
from typing import Generic, TypeVar

T = TypeVar("T")

# A camera that hangs in its driver is left behind; the thread ends with the process.
_PATIENCE_SECONDS = 2.0
_PATIENCE_INTERRUPTED = 0.3

_ROUND_SECONDS = 0.2
"""How long it may take until a stop is heard."""


_log = logging.getLogger(__name__)


def read_ahead(
    source: Generator[T, None, None],
    depth: int,
    seconds: float | None = None,
    stop: threading.Event | None = None,
) -> Generator[T, None, None]:
    """Items in order, none left out; at most `depth` are waiting.

    Args:
        source: run, and at the end closed, in the other thread.
        depth: how many.
        seconds: after which there are no more, also where none comes.
        stop: set, it ends them as well.

    Raises:
        Exception: what the source raises, after the items before it.
    """
    yield from _Reader(source, depth, seconds, stop, newest=False)


def read_newest(
    source: Generator[T, None, None],
    seconds: float | None = None,
    stop: threading.Event | None = None,
) -> Generator[T, None, None]:
    """Whatever came last: an item that nobody took before the next one came is left out.

    How many were is logged at the end.

    Args:
        source: run, and at the end closed, in the other thread.
        seconds: after which there are no more, also where none comes.
        stop: set, it ends them as well.

    Raises:
        Exception: what the source raises, after the item before it.
    """
    yield from _Reader(source, 1, seconds, stop, newest=True)


class _Reader(Generic[T]):
    """A source, the thread that runs it, and what waits in between."""

    def __init__(
        self,
        source: Generator[T, None, None],
        depth: int,
        seconds: float | None,
        stop: threading.Event | None,
        *,
        newest: bool,
    ) -> None:
        self._source = source
        self._depth = depth
        self._seconds = seconds
        self._newest = newest
        self._stop = stop or threading.Event()
        self._taken = self._left_out = 0
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._stopped = False
        self._failure: Exception | None = None

    def __iter__(self) -> Generator[T, None, None]:
        thread = threading.Thread(target=self._read, name="frames", daemon=True)
        thread.start()
        end = math.inf if self._seconds is None else time.monotonic() + self._seconds
        patience = _PATIENCE_SECONDS
        try:
            while not self._stop.is_set() and time.monotonic() < end:
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._waiting or self._ended,
                        min(_ROUND_SECONDS, max(end - time.monotonic(), 0.0)),
                    )
                    if not self._waiting:
                        if self._ended:
                            break
                        continue
                    item = self._waiting.popleft()
                    self._changed.notify_all()
                self._taken += 1
                yield item
            if self._failure is not None:
                raise self._failure
        except KeyboardInterrupt:
            # Time to say goodbye to a camera, of which some give few sessions.
            patience = _PATIENCE_INTERRUPTED
            raise
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            thread.join(patience)
            if self._left_out:
                _log.info(
                    "%s frames taken, %s left out for newer ones",
                    f"{self._taken:,}",
                    f"{self._left_out:,}",
                )

    def _read(self) -> None:
        try:
            for item in self._source:
                if not self._offer(item):
                    break
        except Exception as error:
            self._failure = error
        finally:
            self._source.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _offer(self, item: T) -> bool:
        """Put an item where it can be taken; false when nobody will."""
        with self._changed:
            if self._newest:
                self._left_out += len(self._waiting)
                self._waiting.clear()
            self._changed.wait_for(lambda: len(self._waiting) < self._depth or self._stopped)
            self._waiting.append(item)
            self._changed.notify_all()
            return not self._stopped
