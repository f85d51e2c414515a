"""The hours in which a device may use the network."""

from datetime import datetime

import pytest

from birdedge.runtime.sync.window import Window


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-05-01 {clock}")


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("01:00-05:00", ["01:00", "04:59"], ["00:59", "05:00", "13:00"]),
        ("22:30-04:00", ["22:30", "23:59", "00:00", "03:59"], ["04:00", "22:29"]),
        ("0:00-23:59", ["00:00", "12:00"], ["23:59"]),
    ],
)
def test_a_window_is_open_from_its_first_minute_to_before_its_last(
    window: str, inside: list[str], outside: list[str]
) -> None:
    hours = Window.parse(window)

    assert all(hours.is_open(at(clock)) for clock in inside)
    assert not any(hours.is_open(at(clock)) for clock in outside)


@pytest.mark.parametrize("text", ["", "1-5", "01:00", "25:00-26:00", "01:00-01:00", "01:60-02:00"])
def test_what_is_no_window_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no window|begins when it ends"):
        Window.parse(text)
