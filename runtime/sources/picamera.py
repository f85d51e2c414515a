"""A Raspberry Pi's own camera, through picamera2, which comes with Raspberry Pi OS."""

import time
from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ..errors import SourceError
from . import Frame, always

_SIZE = (1280, 720)
_SILENCE_SECONDS = 8.0
_ROUND_SECONDS = 0.01


class PiCamera:
    """Frames of a camera at the Pi's ribbon connector, 1280 x 720.

    Args:
        spec: ``picamera``, or ``picamera:1`` for the second one.

    Raises:
        SourceError: picamera2 is not there, or there is no such camera.
    """

    live = True
    wanted: Callable[[], bool] = staticmethod(always)

    def __init__(self, spec: str) -> None:
        self._name = spec
        number = spec.partition(":")[2] or "0"
        if not number.isdecimal():
            raise SourceError(f"{spec}: cameras are counted, picamera:0, picamera:1")
        picamera2 = _library()
        self._camera: Any = None
        try:
            self._camera = picamera2.Picamera2(int(number))
            # What libcamera calls BGR888 is RGB in memory.
            configuration = self._camera.create_video_configuration(
                main={"size": _SIZE, "format": "BGR888"}
            )
            self._camera.configure(configuration)
            self._camera.start()
        # libcamera's errors are of many kinds; an IndexError is a camera that is not there.
        except Exception as error:
            self.close()
            raise SourceError(
                f"{spec} cannot be opened ({error}); `rpicam-hello --list-cameras` lists those "
                "that are connected"
            ) from error

    def __iter__(self) -> Generator[Frame, None, None]:
        """Frames until the camera is closed.

        Raises:
            SourceError: it stopped.
        """
        start = time.monotonic()
        number = 0
        while True:
            while not self.wanted():
                time.sleep(_ROUND_SECONDS)
            try:
                # Asked to wait itself, it would wait for ever for a camera that came loose.
                job = self._camera.capture_array("main", wait=False)
                pixels = np.asarray(self._camera.wait(job, timeout=_SILENCE_SECONDS))
            except Exception as error:
                raise SourceError(f"{self._name} stopped: {error or 'no answer'}") from error
            seconds = time.monotonic() - start
            yield Frame(pixels, datetime.now(UTC), self._name, number, seconds)
            number += 1

    def close(self) -> None:
        """Stop the camera and free it."""
        if self._camera is not None:
            # What is not freed cannot be opened again, and one that came loose may say so.
            with suppress(Exception):
                self._camera.close()


def _library() -> Any:
    try:
        import picamera2
    except ImportError as error:
        raise SourceError(
            "the Pi's camera needs picamera2, which comes with Raspberry Pi OS and not from pip: "
            "`sudo apt install python3-picamera2`, and make the virtual environment with "
            "`python3 -m venv --system-site-packages`"
        ) from error
    # Its simplejpeg, from Debian, was built for another NumPy than pip's.
    except ValueError as error:
        raise SourceError(
            f"picamera2 does not get on with this NumPy ({error}); "
            "`pip install --force-reinstall simplejpeg` in birdedge's environment mends it"
        ) from error
    return picamera2
