"""`birdedge sync`: from what is published to the model in use, or not an inch from where it was."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ..bundle import MANIFEST, ModelBundle, check_file, read_manifest
from ..errors import BundleError, SyncError
from ..installed import Installed, InstalledModel
from ..manifest import FileEntry, Manifest
from ..model_state import Trial
from .download import download
from .line import Line
from .release import Channel, Release
from .rollout import Device, choose_release
from .trial import Measured, WrongModelError, try_out
from .trust import CLOCK_OFF, TrustedRepository, is_root

_FREE_BYTES = 50_000_000
"""Left free on the disk, for whatever else the machine does."""


_TRIES = 3
"""A model that is too slow, too large or dies here is tried so often: the machine may be busy."""

What = Literal["updated", "current", "waiting", "pinned"]


@dataclass(frozen=True)
class Outcome:
    """What a sync came to.

    Attributes:
        state: ``updated``, ``current`` (nothing to do), ``waiting`` (nothing is meant for this
            device yet) or ``pinned`` (somebody wants the one in use to stay).
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


@dataclass(frozen=True)
class Progress:
    """Who is told while it lasts: of the bytes that will come, of each that came, of each step."""

    expect: Callable[[int], None] = lambda _: None
    came: Callable[[int], None] = lambda _: None
    step: Callable[[str], None] = lambda _: None


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
        _check_clock(state.latest)
        trust = TrustedRepository(place, line, channel, _root(place, root))
        offered = trust.releases()
        _check_dates(offered, line.server_time)
        with installed.changing() as state:
            state.latest = max(_now(line), state.latest or _now(line))
        current = installed.current()
        release = choose_release(offered, Device(state.device, version, region), state.blocked)

        def outcome(what: What, detail: str) -> Outcome:
            now = installed.current()
            return Outcome(what, now.model, now.digest, detail, line.requests, line.bytes_read)

        if release is None:
            return outcome("waiting", f"{channel} has no model for this device yet")
        if release.manifest.sha256 == current.digest and _is_whole(current.folder):
            shutil.rmtree(place / "partial", ignore_errors=True)
            return outcome("current", f"{current.model} is the newest for this device")
        if state.pinned:
            return outcome("pinned", f"{current.model} is pinned; {release.model} waits")
        return outcome(*_install(installed, trust, release, current, place / "partial", progress))


def _install(
    installed: Installed,
    trust: TrustedRepository,
    release: Release,
    current: InstalledModel,
    partial: Path,
    progress: Progress,
) -> tuple[What, str]:
    digest = release.manifest.sha256
    model = installed.by_digest(digest)
    if model is None or not _is_whole(model.folder):
        manifest = _fetch(trust, release, partial, installed, progress)
        with installed.new(release.model, digest) as draft:
            _assemble(draft, manifest, release, partial, installed)
            progress.step("trying it")
            measured = _try(installed, draft, release, current)
        model = installed.by_digest(digest)
        assert model is not None
    else:
        progress.step("trying it")
        measured = _try(installed, model.folder, release, current)
    with installed.changing() as state:
        # Somebody may have had another word while it was fetched and tried.
        if state.pinned or digest in state.blocked:
            return "pinned", f"{current.model} stays; {release.model} waits"
        state.failures.pop(digest, None)
        state.trial = Trial(
            digest=digest,
            hours=release.watch_hours,
            confidence=release.watch_confidence,
            latency=measured.latency,
        )
    installed.use(model.name)
    shutil.rmtree(partial, ignore_errors=True)
    installed.tidy()
    speed = f"{measured.latency * 1000:.1f} ms with {measured.target}"
    return "updated", f"{release.model} takes the place of {current.model}; {speed}"


def _fetch(
    trust: TrustedRepository,
    release: Release,
    partial: Path,
    installed: Installed,
    progress: Progress,
) -> Manifest:
    """Bring the manifest, and of its files those that no model here has."""
    partial.mkdir(parents=True, exist_ok=True)
    manifest_path = partial / release.manifest.sha256
    _bring(trust, release.manifest, manifest_path, progress)
    manifest = read_manifest(manifest_path)
    missing = [entry for entry in manifest.files() if _reusable(installed, entry) is None]
    wanted = {entry.sha256 for entry in (release.manifest, *missing)}
    for left in partial.iterdir():
        if left.name not in wanted:
            left.unlink()
    there = sum(path.stat().st_size for path in partial.iterdir())
    needed = sum(entry.bytes for entry in missing) + release.manifest.bytes - there
    free = shutil.disk_usage(partial).free - _FREE_BYTES
    if needed > free:
        raise SyncError(
            f"no space for {release.model}: it needs {needed / 1e6:.1f} MB, and {partial} has "
            f"{max(free, 0) / 1e6:.1f} MB to spare"
        )
    progress.expect(sum(entry.bytes for entry in missing))
    for entry in missing:
        _bring(trust, entry, partial / entry.sha256, progress)
    return manifest


def _bring(trust: TrustedRepository, entry: FileEntry, path: Path, progress: Progress) -> None:
    info = trust.file(entry)
    try:
        download(trust.line, trust.address(info), info, path, progress.came)
    except OSError as error:
        raise SyncError(f"cannot write {path}: {error.strerror or error}") from error


def _assemble(
    draft: Path, manifest: Manifest, release: Release, partial: Path, installed: Installed
) -> None:
    """Put a bundle together of what came and of what other models here have, too.

    Those are copied: a bad block of the card must not damage two models at once.
    """
    shutil.copyfile(partial / release.manifest.sha256, draft / MANIFEST)
    for entry in manifest.files():
        source = partial / entry.sha256
        if source.exists():
            os.link(source, draft / entry.name)
            continue
        found = _reusable(installed, entry)
        if found is None:
            raise SyncError(f"{entry.name} of {release.model} is gone; sync again")
        shutil.copyfile(found, draft / entry.name)
    try:
        ModelBundle.load(draft)
    except BundleError as error:
        raise SyncError(f"{release.model} is no whole bundle: {error}") from error


def _try(installed: Installed, folder: Path, release: Release, current: InstalledModel) -> Measured:
    """Try a model here. One that is wrong is blocked; for all else the machine may be to blame."""
    digest = release.manifest.sha256
    try:
        return try_out(folder, current.folder, release.budget)
    except SyncError as error:
        with installed.changing() as state:
            failures = state.failures[digest] = state.failures.get(digest, 0) + 1
        if isinstance(error, WrongModelError) or failures >= _TRIES:
            installed.block(digest, release.model, str(error))
        raise SyncError(
            f"{release.model} is not taken: {error}; {current.model} stays in use", error.kind
        ) from error


def _reusable(installed: Installed, entry: FileEntry) -> Path | None:
    """A whole file with an entry's content in a model that is here."""
    for model in installed.models():
        for known in read_manifest(model.folder / MANIFEST).files():
            if (known.sha256, known.bytes) == (entry.sha256, entry.bytes):
                path = model.folder / known.name
                try:
                    check_file(path, known)
                except BundleError:
                    continue
                return path
    return None


def _is_whole(folder: Path) -> bool:
    try:
        ModelBundle.load(folder)
    except BundleError:
        return False
    return True


def _root(place: Path, given: Path | None) -> bytes:
    """The root of trust to begin with: the newest that was kept, unless another one is given."""
    kept = _kept_roots(place)
    if given is None:
        if not kept:
            raise SyncError(
                "nothing is trusted yet: --root names the root.json that the repository's keeper "
                "gave you"
            )
        return kept[0]
    try:
        content = given.read_bytes()
    except OSError as error:
        raise SyncError(f"cannot read {given}: {error.strerror}") from error
    if not is_root(content):
        raise SyncError(f"{given} is no root.json; the repository's keeper has it")
    return kept[0] if content in kept else content


def _kept_roots(place: Path) -> list[bytes]:
    """Roots that were trusted, the newest first; a power cut may have left one of them empty."""
    paths = (place / "root_history").glob("*.root.json")
    newest_first = sorted(paths, key=lambda path: int(path.name.partition(".")[0]), reverse=True)
    return [content for path in newest_first if is_root(content := path.read_bytes())]


def _check_clock(certain: datetime | None) -> None:
    now = datetime.now(UTC)
    if certain is not None and now < certain - CLOCK_OFF:
        raise SyncError(
            f"clock: this machine's says {now:%Y-%m-%d}, but it is {certain:%Y-%m-%d} at least; "
            "`timedatectl` sets it",
            "clock",
        )


def _check_dates(offered: Channel, server_time: datetime | None) -> None:
    """A release from the future says that this clock is wrong, if the server's says so, too."""
    if server_time is not None and server_time > datetime.now(UTC) + CLOCK_OFF:
        for release in offered.releases:
            _check_clock(release.published)


def _now(line: Line) -> datetime:
    """The time, as far as it is certain: no later than the server has it."""
    now = datetime.now(UTC)
    return now if line.server_time is None else min(now, line.server_time)


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
