"""A processor that is too warm is given fewer frames, until it is cooler."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from birdedge.runtime.cooling import cooled
from birdedge.runtime.sources import Frame, Lost


def frames(seconds: float) -> Iterator[Frame]:
    pixels = np.zeros((2, 2, 3), np.uint8)
    for number in range(int(10 * seconds)):
        yield Frame(pixels, datetime.now(UTC), "garden", number, number / 10)


def rates(degrees: list[float | None]) -> list[int]:
    """Frames in each ten seconds, at a temperature in each of them."""
    told = iter(degrees)
    taken = [0] * len(degrees)
    for frame in cooled(frames(10.0 * len(degrees)), lambda: next(told)):
        assert isinstance(frame, Frame)
        taken[int(frame.seconds // 10)] += 1
    return taken


def test_a_cool_one_and_one_that_does_not_tell_see_all() -> None:
    assert rates([50.0, 74.9, None]) == [100, 100, 100]


def test_a_warm_one_sees_less_and_a_hot_one_little() -> None:
    cool, warm, hot = rates([60.0, 76.0, 81.0])

    assert cool == 100
    assert 30 <= warm <= 40
    assert 8 <= hot <= 11


def test_it_does_not_go_to_and_fro() -> None:
    """Three degrees cooler, and there are more frames again."""
    taken = rates([76.0, 74.0, 73.0, 71.0, 74.0])

    assert [count > 50 for count in taken] == [False, False, False, True, True]


def test_a_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    rates([60.0, 76.0, 76.0, 60.0])

    assert caplog.messages == [
        "the processor has 76 degrees; looking at 4 frames a second",
        "the processor has 60 degrees; looking at every frame",
    ]


def test_that_the_camera_is_lost_is_always_passed_on() -> None:
    losses = [Lost(seconds / 10) for seconds in range(5)]

    assert list(cooled(losses, lambda: 90.0)) == losses
