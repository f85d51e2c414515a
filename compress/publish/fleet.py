"""What the devices of a fleet said last."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from ...runtime.errors import one_line
from ...runtime.sync.heartbeat import PREFIX, TIME, Heartbeat
from .storage import Storage

_WELL = ("current", "updated", "waiting", "pinned")
"""What a sync may have come to that needs nobody."""

_SILENT = timedelta(days=2)
_AHEAD = timedelta(hours=1)
_FULL_GB = 1.0
_HOT = 80.0


def last_heartbeats(storage: Storage, now: datetime | None = None) -> list[Heartbeat]:
    """Each device's last heartbeat, those that were silent for longest first.

    What is no heartbeat is passed over: a device's key may write whatever it likes there. So is one
    of the future, as of a clock that was once ahead, while there are others: it would hide them.

    Raises:
        PublishError: they cannot be read.
    """
    latest = f"{(now or datetime.now(UTC)) + _AHEAD:{TIME}}"
    newest: dict[str, tuple[bool, str]] = {}
    for name in storage.names(PREFIX):
        device, _, sent = name.removeprefix(PREFIX).partition("/")
        # Names are in the order of time.
        newest[device] = max((sent <= latest, name), newest.get(device, (False, "")))
    beats = []
    for device, (_, name) in newest.items():
        stored = storage.read(name)
        if stored is None:
            continue
        with suppress(ValidationError):
            beat = Heartbeat.model_validate_json(stored.content)
            # Nobody speaks for another device.
            if beat.device == device:
                beats.append(beat)
    return sorted(beats, key=lambda beat: beat.sent)


def troubles(beat: Heartbeat, now: datetime) -> list[str]:
    """What somebody should look at."""
    found = []
    if now - beat.sent > _SILENT:
        found.append(f"silent for {(now - beat.sent).days} days")
    if beat.sent - now > _AHEAD:
        found.append("its clock is ahead")
    if beat.sync not in _WELL:
        found.append(f"its last sync: {beat.sync}")
    found += [f"put {model} back: {reason}" for model, reason in beat.blocked.items()]
    if beat.free_gb < _FULL_GB:
        found.append(f"{beat.free_gb:.1f} GB left")
    if beat.temperature is not None and beat.temperature >= _HOT:
        found.append(f"{beat.temperature:.0f} degrees")
    return found


def table(beats: Iterable[Heartbeat], now: datetime | None = None) -> Table:
    """The fleet, a device a line."""
    now = now or datetime.now(UTC)
    shown = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("Device", "Seen", "Channel", "Model", "birdedge", "Visits", "ms", "Sure"):
        number = title in ("Visits", "ms", "Sure")
        shown.add_column(title, justify="right" if number else "left", overflow="fold")
    for beat in beats:
        shown.add_row(
            _plain(beat.device[:8]),
            _ago(now - beat.sent),
            _plain(beat.channel),
            _plain(beat.model) + (" (watched)" if beat.trial else ""),
            _plain(beat.birdedge),
            "" if beat.visits is None else f"{beat.visits:,}",
            "" if beat.latency_ms is None else f"{beat.latency_ms:.0f}",
            _sure(beat.confidence),
            style="red" if troubles(beat, now) else None,
        )
    return shown


def _plain(text: str) -> str:
    """What a device wrote, as it can be shown: neither markup nor a terminal's commands."""
    return escape(one_line(text))


def _sure(confidence: list[int] | None) -> str:
    """The share of visits whose first answer has a probability of at least 80 %."""
    if not confidence or not sum(confidence):
        return ""
    return f"{sum(confidence[8:]) / sum(confidence):.0%}"


def _ago(passed: timedelta) -> str:
    minutes = max(0, int(passed.total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"
