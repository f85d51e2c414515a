"""A frame tells its number through the camera's compression."""

import cv2
import numpy as np
import pytest

from birdedge.benchmarks.delay import _number_in, _numbered


@pytest.mark.parametrize("number", [0, 1, 2, 1023, 40_001, 2**16 - 1])
def test_a_frame_tells_its_number(number: int) -> None:
    noise = np.random.default_rng(number).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", _numbered(noise, number))[1]
    assert _number_in(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)) == number
