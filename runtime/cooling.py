"""Fewer frames while the processor is too warm, before the firmware makes it slow by itself."""

import logging
from collections.abc import Callable, Iterable, Iterator

from . import machine
from .sources import Frame, Lost

_LOOK_SECONDS = 10.0

_STEPS = ((80.0, 1.0), (75.0, 4.0))
"""Degrees Celsius, and the frames a second at that or more. At 80 a Raspberry Pi slows down."""

_COOLER = 3.0
"""So much cooler, and there are more frames again: otherwise it would go to and fro."""

_log = logging.getLogger(__name__)


def cooled(
    moments: Iterable[Frame | Lost], temperature: Callable[[], float | None] = machine.temperature
) -> Iterator[Frame | Lost]:
    """Frames, fewer of them while it is too warm; of those left out, nothing but their decoding.

    Args:
        moments: of a camera; of a recording no frame should be missed.
        temperature: of the processor, in degrees Celsius.
    """
    looked = float("-inf")
    taken = float("-inf")
    limit: float | None = None
    for moment in moments:
        if moment.seconds - looked >= _LOOK_SECONDS:
            looked = moment.seconds
            limit = _limit(temperature(), limit)
        if isinstance(moment, Frame):
            if limit is not None and moment.seconds - taken < 1 / limit:
                continue
            taken = moment.seconds
        yield moment


def _limit(degrees: float | None, before: float | None) -> float | None:
    """Frames a second; none for as many as there are."""
    limit = None
    if degrees is not None:
        for hot, rate in _STEPS:
            if degrees >= hot or (before == rate and degrees > hot - _COOLER):
                limit = rate
                break
    if limit != before and degrees is not None:
        what = "every frame" if limit is None else f"{limit:g} frames a second"
        _log.warning("the processor has %.0f degrees; looking at %s", degrees, what)
    return limit
