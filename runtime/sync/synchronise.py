"""`birdedge sync`: from what is published to the model in use, or not an inch from where it was."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import SyncError
from ..installed import INSIDE, Installed
from .clock import certain_time, check_clock, check_dates
from .install import Progress, What, install, is_whole
from .line import Line
from .rollout import Device, choose_release
from .roots import first_root
from .trust import TrustedRepository


@dataclass(frozen=True)
class Outcome:
    """What a sync came to.

    Attributes:
        state: ``updated`` (another model is in use), ``current`` (nothing to do), ``waiting``
            (nothing is meant for this device yet), ``pinned`` (somebody wants the one in use to
            stay) or ``withdrawn`` (the same, though its keeper took it back).
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
        before = installed.current()
        left = bool(offered.withdrawn) and installed.leave(offered.withdrawn)
        current = installed.current()
        release = choose_release(offered, Device(state.device, version, region), state.blocked)

        def outcome(what: What, detail: str) -> Outcome:
            used = installed.current()
            return Outcome(what, used.model, used.digest, detail, line.requests, line.bytes_read)

        settled = release is None or (
            release.manifest.sha256 == current.digest and is_whole(current.folder)
        )
        if settled:
            shutil.rmtree(place / "partial", ignore_errors=True)
        if settled and left:
            return outcome(
                "updated",
                f"{before.model} was withdrawn from {channel}; {current.model} is in use again",
            )
        # The model inside is what there is where nothing else may be used.
        taken_back = current.digest in offered.withdrawn and current.name != INSIDE
        if taken_back and (release is None or state.pinned):
            kept = "is pinned" if state.pinned else "is none that sync brought"
            return outcome("withdrawn", f"{current.model} was withdrawn from {channel}, but {kept}")
        if release is None:
            return outcome("waiting", f"{channel} has no model for this device yet")
        if settled:
            return outcome("current", f"{current.model} is the newest for this device")
        if state.pinned:
            return outcome("pinned", f"{current.model} is pinned; {release.model} waits")
        return outcome(*install(installed, trust, release, place / "partial", progress))


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
