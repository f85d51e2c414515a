"""A camera that comes back: unplugged, rebooted or out of reach, it is tried until it answers."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

from tenacity import RetryCallState, Retrying, retry_if_exception_type, sleep_using_event
from tenacity.stop import stop_when_event_set
from tenacity.wait import wait_random_exponential

from ..errors import SourceError
from . import Frame, FrameSource

_LONGEST_PAUSE_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Reconnecting:
    """Frames of a live source, through its losses, which are logged.

    Between two tries it waits, at most twice as long each time and a minute in the end, by chance:
    so that a house full of devices does not call its router all at once ("full jitter", M. Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Args:
        source: the live source, opened: that it cannot be at first is a mistake rather than a loss.
        open_again: opens it after a loss, or raises `SourceError`.
        pause: seconds that the first pause lasts at most.
    """

    live = True

    def __init__(
        self, source: FrameSource, open_again: Callable[[], FrameSource], pause: float = 1.0
    ) -> None:
        self._source: FrameSource | None = source
        self._open = open_again
        self._pause = pause
        self._closed = threading.Event()

    def __iter__(self) -> Generator[Frame, None, None]:
        """Frames until the source is closed; numbers and seconds go on after a loss."""
        start = time.monotonic()
        for number, frame in enumerate(self._through_losses()):
            yield replace(frame, number=number, seconds=time.monotonic() - start)

    def close(self) -> None:
        """End the frames, also those that are being waited for; any thread may call it."""
        self._closed.set()

    def _through_losses(self) -> Iterator[Frame]:
        frames = self._frames()
        while True:
            try:
                yield from frames
                reason = "the camera ended its stream"
            except SourceError as error:
                reason = str(error)
            if self._closed.is_set():
                return
            _log.warning("%s; trying again until it is back", reason)
            lost = time.monotonic()
            back = self._again()
            if back is None:
                return
            first, frames = back
            _log.warning("%s is back after %.0f s", first.source, time.monotonic() - lost)
            yield first

    def _frames(self) -> Iterator[Frame]:
        """One connection's frames; it is opened, read and hung up in the reader's thread.

        Whatever a driver or a decoder raises is a loss like others: watching goes on.
        """
        source = self._source
        self._source = None
        try:
            source = source or self._open()
            for frame in source:
                if self._closed.is_set():
                    return
                yield frame
        except SourceError:
            raise
        except Exception as error:
            _log.debug("a camera failed", exc_info=True)
            # Its text might hold the address with its password.
            raise SourceError(f"the camera failed ({type(error).__name__})") from error
        finally:
            if source is not None:
                source.close()

    def _again(self) -> tuple[Frame, Iterator[Frame]] | None:
        """The first frame of a new connection and those after it; None once closed.

        A frame it must be: there are cameras that answer and then say no more.
        """

        def connect() -> tuple[Frame, Iterator[Frame]]:
            frames = self._frames()
            first = next(frames, None)
            if first is None:
                raise SourceError("it ended at once")
            return first, frames

        def give_up(_: RetryCallState) -> None:
            return None

        retrying = Retrying(
            retry=retry_if_exception_type(SourceError),
            wait=wait_random_exponential(multiplier=self._pause, max=_LONGEST_PAUSE_SECONDS),
            sleep=sleep_using_event(self._closed),
            stop=stop_when_event_set(self._closed),
            retry_error_callback=give_up,
        )
        back: tuple[Frame, Iterator[Frame]] | None = retrying(connect)
        return back
