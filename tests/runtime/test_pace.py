"""Ten frames a second are looked at, and fewer by a processor that is warm or slowed down."""

from collections.abc import Sequence

import pytest

from birdedge.runtime.pace import Pace

SECONDS = 10.0
"""After so many the temperature is read again."""


def rates(
    degrees: Sequence[float | None], slowed: Sequence[bool] | None = None, fps: float = 10.0
) -> list[int]:
    """Frames taken in each ten seconds of a camera, at a temperature in each of them."""
    told, slow = iter(degrees), iter(slowed or [False] * len(degrees))
    now = 0.0
    pace = Pace(lambda: next(told), lambda: next(slow), lambda: now)
    taken = [0] * len(degrees)
    for number in range(int(SECONDS * len(degrees) * fps)):
        now = number / fps
        taken[int(now / SECONDS)] += pace()
    return taken


def test_a_cool_one_and_one_that_does_not_tell_see_all() -> None:
    assert rates([50.0, 74.9, None]) == [100, 100, 100]


@pytest.mark.parametrize("fps", [15.0, 25.0, 30.0, 120.0])
def test_of_a_faster_camera_ten_frames_a_second_are_taken(fps: float) -> None:
    assert rates([50.0, 50.0], fps=fps) == pytest.approx([100, 100], abs=2)


def test_a_slower_camera_is_seen_whole() -> None:
    assert rates([50.0], fps=5.0) == [50]


def test_of_a_camera_that_comes_early_and_late_hardly_a_frame_is_missed() -> None:
    clock = iter(number / 10 + (0.03 if number % 3 else 0.0) for number in range(1000))
    pace = Pace(lambda: None, lambda: False, lambda: next(clock))
    assert sum(pace() for _ in range(1000)) > 990


def test_after_a_gap_there_is_no_crowd() -> None:
    """What did not come for a minute is not made up for."""
    times = iter([0.0, *(60 + number / 100 for number in range(100))])
    pace = Pace(lambda: None, lambda: False, lambda: next(times))
    assert pace()
    assert sum(pace() for _ in range(100)) <= 12


def test_a_warm_one_sees_less_and_a_hot_one_little() -> None:
    cool, warm, hot = rates([60.0, 76.0, 81.0], fps=20.0)

    assert cool == pytest.approx(100, abs=2)
    assert 38 <= warm <= 42
    assert 8 <= hot <= 11


def test_it_does_not_go_to_and_fro() -> None:
    """Three degrees cooler, and there are more frames again."""
    taken = rates([76.0, 74.0, 73.0, 71.0, 74.0])
    assert [count > 50 for count in taken] == [False, False, False, True, True]
    taken = rates([81.0, 79.0, 76.0, 71.0])
    assert [count > 20 for count in taken] == [False, False, True, True]


@pytest.mark.parametrize("degrees", [None, 60.0, 73.0])
def test_one_that_the_firmware_slows_down_sees_less_and_for_a_minute_after(
    degrees: float | None,
) -> None:
    slowed = rates([degrees] * 10, [False, True, *[False] * 8])
    assert slowed[0] == 100
    assert all(38 <= count <= 42 for count in slowed[1:7])
    assert all(count >= 97 for count in slowed[7:])


def test_a_firmware_that_goes_to_and_fro_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    rates([61.0] * 20, [False, True] * 10)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("degrees", "slowed", "told"),
    [
        (
            [60.0, 76.0, 76.0, 60.0],
            [False] * 4,
            ["the processor has 76 degrees; looking at 4 frames a second",
             "the processor has 60 degrees; looking at 10 frames a second"],
        ),
        (
            [None, None, None],
            [False, True, True],
            ["the firmware slows the processor down; looking at 4 frames a second"],
        ),
    ],
)  # fmt: skip
def test_a_change_is_told_once(
    caplog: pytest.LogCaptureFixture,
    degrees: list[float | None],
    slowed: list[bool],
    told: list[str],
) -> None:
    rates(degrees, slowed)
    assert caplog.messages == told
