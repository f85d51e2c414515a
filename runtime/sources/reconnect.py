"""A camera that comes back: unplugged, rebooted or out of reach, it is tried until it answers."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from ..backoff import pause
from ..errors import SourceError
from . import Frame, FrameSource, Lost, always

_STEADY_SECONDS = 60.0
"""A connection that lasts as long is sound again: the next loss is tried at once."""

_log = logging.getLogger(__name__)


class Reconnecting:
    """Frames of a live source, through its losses, which are logged.

    Between two tries it waits as `backoff.pause` says. Before each wait it says that the camera is
    lost: whoever follows birds learns that time passes, and a watchdog that somebody still tries.

    Args:
        source: the live source, opened: that it cannot be at first is a mistake rather than a loss.
        open_again: opens it after a loss, or raises `SourceError`.
        wanted: which of its frames; see `FrameSource`.
        first_pause: seconds that it lasts at most.
    """

    live = True

    def __init__(
        self,
        source: FrameSource,
        open_again: Callable[[], FrameSource],
        wanted: Callable[[], bool] = always,
        first_pause: float = 1.0,
    ) -> None:
        self._source: FrameSource | None = source
        self._open = open_again
        self._wanted = wanted
        self._first_pause = first_pause
        self._closed = threading.Event()

    def __iter__(self) -> Generator[Frame | Lost, None, None]:
        """Frames until the source is closed; numbers and seconds go on after a loss."""
        start = time.monotonic()
        number = 0
        for frame in self._through_losses():
            if frame is None:
                yield Lost(_passed(start))
            else:
                yield replace(frame, number=number, seconds=_passed(start))
                number += 1

    def close(self) -> None:
        """End the frames, also those that are being waited for; any thread may call it."""
        self._closed.set()

    def _through_losses(self) -> Iterator[Frame | None]:
        since = time.monotonic()
        lost = False
        tries = 0
        while True:
            try:
                for frame in self._frames():
                    # Some cameras answer and then say no more: only a frame shows that it is back.
                    if lost:
                        _log.warning("%s is back after %.0f s", frame.source, _passed(since))
                        lost, since = False, time.monotonic()
                    yield frame
                reason = "the camera ended its stream"
            except SourceError as error:
                reason = str(error)
            if self._closed.is_set():
                return
            if not lost:
                _log.warning("%s; trying again until it is back", reason)
                tries = 0 if _passed(since) > _STEADY_SECONDS else tries
                lost, since = True, time.monotonic()
            yield None
            if self._closed.wait(pause(tries, self._first_pause)):
                return
            tries += 1

    def _frames(self) -> Iterator[Frame]:
        """One connection's frames; it is opened, read and hung up in the reader's thread.

        Whatever a driver or a decoder raises is a loss like others: watching goes on.
        """
        source = self._source
        self._source = None
        try:
            source = source or self._open()
            asks = hasattr(source, "wanted")
            if asks:
                source.wanted = self._wanted
            for frame in source:
                if self._closed.is_set():
                    return
                if asks or self._wanted():
                    yield frame
        except SourceError:
            raise
        except Exception as error:
            _log.debug("a camera failed", exc_info=True)
            # Its text might hold the address with its password.
            raise SourceError(f"the camera failed ({type(error).__name__})") from error
        finally:
            if source is not None:
                _hang_up(source)


def _hang_up(source: FrameSource) -> None:
    """Close a source; drivers of cameras that are gone fail at that too."""
    try:
        source.close()
    except Exception:
        _log.debug("a camera could not be closed", exc_info=True)


def _passed(since: float) -> float:
    return time.monotonic() - since
