"""What a USB camera is asked for; a driver drawn by code stands in for one."""

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from birdedge.runtime.errors import SourceError
from birdedge.runtime.sources import usb
from birdedge.runtime.sources.usb import UsbCamera


class Driver:
    """Gives three frames of the size that it was asked for, as V4L2 does, and then nothing."""

    def __init__(self, *_: object) -> None:
        self.asked: list[tuple[int, float]] = []
        self.decoded = 0
        self._frames = iter(range(3))

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's own name
        return True

    def set(self, what: int, value: float) -> bool:
        self.asked.append((what, value))
        return True

    def grab(self) -> bool:
        return next(self._frames, None) is not None

    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
        self.decoded += 1
        size = dict(self.asked)
        height, width = (int(size[what]) for what in (4, 3))
        return True, np.full((height, width, 3), (255, 0, 0), np.uint8)

    def release(self) -> None:
        pass


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Iterator[UsbCamera]:
    monkeypatch.setattr(usb.cv2, "VideoCapture", Driver)
    monkeypatch.setattr(usb, "_PAUSE_SECONDS", 0.0)
    camera = UsbCamera("usb:0")
    yield camera
    camera.close()


def test_it_gives_as_many_pixels_as_a_pis_own_camera_in_rgb(camera: UsbCamera) -> None:
    frames = list(islice(camera, 3))

    assert {frame.pixels.shape for frame in frames} == {(720, 1280, 3)}
    assert frames[0].pixels[0, 0].tolist() == [0, 0, 255]
    assert [frame.number for frame in frames] == [0, 1, 2]


def test_it_is_asked_for_compressed_frames_first(camera: UsbCamera) -> None:
    """Without them, the driver refuses the size or gives five frames a second."""
    what, value = camera._capture.asked[0]

    assert what == cv2.CAP_PROP_FOURCC
    assert value == cv2.VideoWriter.fourcc(*"MJPG")


def test_one_that_gives_nothing_any_more_is_told(camera: UsbCamera) -> None:
    with pytest.raises(SourceError, match="usb:0 stopped giving frames; is it still plugged in"):
        list(camera)


def test_what_nobody_wants_is_not_decoded(camera: UsbCamera) -> None:
    wishes = iter([True, False, True])
    camera.wanted = lambda: next(wishes)
    frames = list(islice(camera, 2))

    assert [frame.number for frame in frames] == [0, 1]
    assert camera._capture.decoded == 2
