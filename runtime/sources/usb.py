"""A USB or built-in camera, through OpenCV."""

import time
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from typing import Any

from ..errors import SourceError
from . import Frame, always
from .opencv import cv2

_SIZE = 1280, 720
"""As of the Raspberry Pi's own camera."""

# A camera that drops one frame is forgiven; one that is gone answers none of these. One that hangs
# takes a second for each (see opencv.py), and is noticed within ten.
_TRIES = 8
_PAUSE_SECONDS = 0.1


class UsbCamera:
    """Frames of a V4L2 camera, the newest first in line.

    Args:
        spec: ``usb:0`` or ``0``, or its device, ``/dev/video0``.

    Raises:
        SourceError: there is no such camera, or it is in use.
    """

    live = True
    wanted: Callable[[], bool] = staticmethod(always)

    def __init__(self, spec: str) -> None:
        device = spec.removeprefix("usb:")
        self._name = f"usb:{device}"
        self._capture = cv2.VideoCapture(
            int(device) if device.isdecimal() else device, cv2.CAP_V4L2
        )
        if not self._capture.isOpened():
            raise SourceError(
                f"camera {device} cannot be opened; is it plugged in, free, and yours to use? "
                "`ls /dev/video*` lists cameras, the group `video` may use them"
            )
        # OpenCV asks for 640 x 480 by itself. So many pixels come through USB in time only if they
        # are compressed. What a camera cannot do, it leaves, and gives what is nearest.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, _SIZE[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, _SIZE[1])
        # One buffered frame: what is classified should be what is in front of the camera now.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def __iter__(self) -> Generator[Frame, None, None]:
        """Frames until the camera is closed.

        Raises:
            SourceError: the camera stopped answering.
        """
        start = time.monotonic()
        for number, bgr in enumerate(self._decoded()):
            pixels = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            seconds = time.monotonic() - start
            yield Frame(pixels, datetime.now(UTC), self._name, number, seconds)

    def _decoded(self) -> Iterator[Any]:
        failed = 0
        while failed < _TRIES:
            grabbed = self._capture.grab()
            if grabbed and not self.wanted():
                continue
            read, bgr = self._capture.retrieve() if grabbed else (False, None)
            if read:
                failed = 0
                yield bgr
            else:
                failed += 1
                time.sleep(_PAUSE_SECONDS)
        raise SourceError(f"{self._name} stopped giving frames; is it still plugged in?")

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()
