"""Whether this machine's clock can be right: what is signed expires by it."""

from datetime import UTC, datetime, timedelta

from ..errors import SyncError
from .release import Channel

CLOCK_OFF = timedelta(days=1)
"""Clocks that differ by less are not worth a word."""


def check_clock(certain: datetime | None) -> None:
    """See that it is not earlier than it was.

    Args:
        certain: a time that has been, in UTC.

    Raises:
        SyncError: the clock is before that.
    """
    now = datetime.now(UTC)
    if certain is not None and now < certain - CLOCK_OFF:
        raise SyncError(
            f"clock: this machine's says {now:%Y-%m-%d}, but it is {certain:%Y-%m-%d} at least; "
            "`timedatectl` sets it",
            "clock",
        )


def check_dates(offered: Channel, server_time: datetime | None) -> None:
    """A release from the future says that this clock is wrong, if the server's says so, too.

    Raises:
        SyncError: it is.
    """
    if server_time is not None and server_time > datetime.now(UTC) + CLOCK_OFF:
        for release in offered.releases:
            check_clock(release.published)


def certain_time(server_time: datetime | None) -> datetime:
    """The time, as far as it is certain: no later than the server has it."""
    now = datetime.now(UTC)
    return now if server_time is None else min(now, server_time)
