"""The hours in which a device may use the network."""

import re
from dataclasses import dataclass
from datetime import datetime, time

_WINDOW = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Window:
    """From a time of day to another, on the machine's own clock; over midnight if it must.

    Attributes:
        start: its first minute.
        end: the minute after its last.
    """

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Read ``01:00-05:00``.

        Raises:
            ValueError: it is not of that form, or empty.
        """
        found = _WINDOW.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no window; 01:00-05:00 is")
        hours = [int(part) for part in found.groups()]
        window = cls(time(hours[0], hours[1]), time(hours[2], hours[3]))
        if window.start == window.end:
            raise ValueError(f"{text!r} begins when it ends")
        return window

    def is_open(self, now: datetime) -> bool:
        """Whether it is open at a local time."""
        moment = now.time()
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"
