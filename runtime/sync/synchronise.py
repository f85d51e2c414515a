"""`birdedge sync`: from what is published to the model in use, or not an inch from where it was."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import SyncError
from ..installed import Installed
from .clock import certain_time, check_clock, check_dates
from .install import Progress, What, install, is_whole
from .line import Line
from .release import Channel
from .rollout import Device, choose_release
from .roots import first_root
from .trust import TrustedRepository


@dataclass(frozen=True)
class Outcome:
    """What a sync came to.

    Attributes:
        state: ``updated`` (another model is in use), ``current`` (nothing to do), ``waiting``
            (nothing is meant for this device yet) or ``pinned`` (somebody wants the one in use to
            stay).
        model: id of the model in use now.
        digest: of the same.
        detail: a sentence for people.
        requests: that it took.
        bytes_read: contents received.
    """

    state: What
    model: str
    digest: str
    detail: str
    requests: int
    bytes_read: int


def synchronise(
    installed: Installed,
    line: Line,
    channel: str,
    version: str,
    region: str = "",
    root: Path | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Bring the model that a channel has for this device, try it, and put it to use.

    Args:
        installed: the device's models.
        line: to the repository.
        channel: whose releases are taken.
        version: of birdedge.
        region: where the device is.
        root: the first root of trust; needed once, and again to begin anew.
        progress: who is told while it lasts.

    Raises:
        SyncError: nothing was changed, and why.
    """
    progress = progress or Progress()
    with _alone(installed) as place:
        installed.tidy()
        state = installed.state()
        check_clock(state.latest)
        trust = TrustedRepository(place, line, channel, first_root(place, root))
        offered = trust.releases()
        check_dates(offered, line.server_time)
        with installed.changing() as state:
            now = certain_time(line.server_time)
            state.latest = max(now, state.latest or now)
            digests = {release.manifest.sha256 for release in offered.releases}
            state.failures = {key: n for key, n in state.failures.items() if key in digests}
        current = installed.current()
        release = choose_release(offered, Device(state.device, version, region), state.blocked)

        def outcome(what: What, detail: str) -> Outcome:
            used = installed.current()
            return Outcome(what, used.model, used.digest, detail, line.requests, line.bytes_read)

        if release is None:
            return outcome(*_without_release(installed, offered, channel))
        if release.manifest.sha256 == current.digest and is_whole(current.folder):
            shutil.rmtree(place / "partial", ignore_errors=True)
            return outcome("current", f"{current.model} is the newest for this device")
        if state.pinned:
            return outcome("pinned", f"{current.model} is pinned; {release.model} waits")
        return outcome(*install(installed, trust, release, place / "partial", progress))


def _without_release(installed: Installed, offered: Channel, channel: str) -> tuple[What, str]:
    """What a device does for which there is no release: it waits, but not with one taken back."""
    current = installed.current()
    if current.digest not in offered.withdrawn:
        return "waiting", f"{channel} has no model for this device yet"
    if installed.leave(offered.withdrawn):
        return "updated", (
            f"{current.model} was withdrawn from {channel}, which has no other model for this "
            f"device; {installed.current().model} is in use again"
        )
    kept = "is pinned" if installed.state().pinned else "was put here by hand"
    return "pinned", f"{current.model} was withdrawn from {channel}, but {kept}"


@contextmanager
def _alone(installed: Installed) -> Iterator[Path]:
    """Where this sync may write; another one at the same time may not."""
    place = installed.folder / "sync"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with (place / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SyncError("another sync is under way") from None
            for left in place.glob("tmp*"):
                # The framework's client was killed as it wrote.
                left.unlink()
            yield place
    except OSError as error:
        raise SyncError(
            f"cannot write to {place}: {error.strerror or error}; --models names another folder"
        ) from error
