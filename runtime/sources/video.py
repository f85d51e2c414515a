"""Video files, here or at an address, through OpenCV."""

import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from ..credentials import without_credentials
from ..errors import ImageError, SourceError
from . import Frame, is_url
from .addresses import as_asked
from .opencv import cv2

_TIMEOUT_MS = 10_000
_ASK_SECONDS = 5.0


class VideoSource:
    """Every frame of a video file.

    Args:
        spec: a path, or an address that FFmpeg understands.

    Raises:
        SourceError: it does not exist or cannot be decoded.
    """

    live = False

    def __init__(self, spec: str) -> None:
        self._name = without_credentials(spec)
        self._capture = _open(spec)
        self._in_use = Lock()

    def __iter__(self) -> Generator[Frame, None, None]:
        """Frames in order, as if the recording began now; they are timed by its own clock."""
        start = datetime.now(UTC)
        number = 0
        while True:
            with self._in_use:
                read, bgr = self._capture.read()
                # Of the frame just read; asked before, it would be that of the one before.
                seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                fps = self._capture.get(cv2.CAP_PROP_FPS)
            if not read:
                break
            if seconds <= 0 and fps > 0:  # a raw stream has no clock
                seconds = number / fps
            pixels = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            captured_at = start + timedelta(seconds=seconds)
            yield Frame(pixels, captured_at, self._name, number, seconds)
            number += 1
        if number == 0 and self._capture.isOpened():
            raise SourceError(f"{self._name}: no frame could be decoded")

    def close(self) -> None:
        """Release the decoder; any thread may call it, and frames end."""
        with self._in_use:
            self._capture.release()


def _open(spec: str) -> Any:
    if not is_url(spec) and not Path(spec).is_file():
        raise SourceError(f"{spec}: no such video")
    limits = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        _TIMEOUT_MS,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        _TIMEOUT_MS,
    ]
    began = time.monotonic()
    place = as_asked(spec) if is_url(spec) else spec
    capture = cv2.VideoCapture(place, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        silent = time.monotonic() - began > 0.9 * _TIMEOUT_MS / 1000
        if place.startswith(("http://", "https://")) and not silent:
            _ask(spec)
        or_silent = ", or no answer within 10 s" if silent else ""
        raise SourceError(f"{without_credentials(spec)}: not a video that can be read{or_silent}")
    return capture


def _ask(url: str) -> None:
    """Have a server say why it gives no video: OpenCV tells nothing of it."""
    from .download import ask

    try:
        ask(url, _ASK_SECONDS)
    except ImageError as error:
        raise SourceError(str(error)) from error
