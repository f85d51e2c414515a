"""How many frames of a camera are looked at: fewer while the processor is too warm."""

import logging
import time
from collections.abc import Callable

from . import machine

_USUAL = 10.0
"""Frames a second: as many as the figures in docs/results/field.md are of. More would find no more
visits, and warm the processor."""

_LOOK_SECONDS = 10.0

_STEPS = ((80.0, 1.0), (75.0, 4.0))
"""Degrees Celsius, and the frames a second at that or more. At 80 a Raspberry Pi slows down."""

_COOLER = 3.0
"""So much cooler, and there are more frames again: otherwise it would go to and fro."""

_SLOWED = 4.0
_SLOWED_SECONDS = 60.0
"""Frames a second while the firmware has slowed the processor down, and for so long after."""

_log = logging.getLogger(__name__)


class Pace:
    """Whether the next frame is wanted; asked of each frame, before work is put into it.

    Args:
        temperature: of the processor, in degrees Celsius, where it is known.
        slowed: whether the firmware slows the processor down.
        clock: in seconds.
    """

    def __init__(
        self,
        temperature: Callable[[], float | None] = machine.temperature,
        slowed: Callable[[], bool] = machine.is_slowed,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._temperature = temperature
        self._slowed = slowed
        self._clock = clock
        self._rate = self._for_heat = _USUAL
        self._slowed_at = float("-inf")
        self._looked = self._due = float("-inf")

    def __call__(self) -> bool:
        """Whether it is time for a frame; if so, the next one's time is later."""
        now = self._clock()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            self._adapt()
        if now < self._due:
            return False
        # From when it was due, not from when it came: of a camera of that very rate none is missed.
        self._due = max(self._due, now - 1 / self._rate) + 1 / self._rate
        return True

    def _adapt(self) -> None:
        degrees = self._temperature()
        self._for_heat = _for_temperature(degrees, self._for_heat)
        if self._slowed():
            self._slowed_at = self._looked
        slowed = self._looked - self._slowed_at < _SLOWED_SECONDS
        rate = min(self._for_heat, _SLOWED if slowed else _USUAL)
        if rate != self._rate:
            self._rate = rate
            known = "" if degrees is None else f"the processor has {degrees:.0f} degrees; "
            why = "the firmware slows the processor down; " if slowed else ""
            _log.warning("%s%slooking at %g frames a second", known, why, rate)


def _for_temperature(degrees: float | None, before: float) -> float:
    """Frames a second."""
    if degrees is not None:
        for hot, rate in _STEPS:
            if degrees >= hot or (before <= rate and degrees > hot - _COOLER):
                return rate
    return _USUAL
