"""`birdedge sync`: from what is published to the model in use, or not an inch from where it was."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from ..bundle import MANIFEST, ModelBundle, check_file, read_manifest
from ..errors import BundleError, SyncError
from ..installed import Installed, InstalledModel, Trial
from ..manifest import FileEntry, Manifest
from .download import download
from .line import Line
from .release import Release
from .rollout import Device, choose_release
from .trial import try_out
from .trust import TrustedRepository, is_root

_FREE_BYTES = 50_000_000
"""Left free on the disk, for whatever else the machine does."""

_CLOCK_OFF = timedelta(days=1)


@dataclass(frozen=True)
class Outcome:
    """What a sync came to.

    Attributes:
        state: ``updated``, ``current`` (nothing to do), ``waiting`` (nothing is meant for this
            device yet) or ``pinned``.
        model: id of the model in use now.
        digest: of the same.
        detail: a sentence for people.
        requests: that it took.
        bytes_read: contents received.
    """

    state: Literal["updated", "current", "waiting", "pinned"]
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
        for known in offered.releases:
            _check_clock(known.published)
        with installed.changing() as state:
            state.latest = max(datetime.now(UTC), state.latest or datetime.now(UTC))
        current = installed.current()
        device = Device(state.device, version, region)
        release = choose_release(offered, device, state.blocked)

        def outcome(
            what: Literal["updated", "current", "waiting", "pinned"], detail: str
        ) -> Outcome:
            now = installed.current()
            return Outcome(what, now.model, now.digest, detail, line.requests, line.bytes_read)

        if release is None:
            return outcome("waiting", f"{channel} has no model for this device yet")
        if release.manifest.sha256 == current.digest:
            return outcome("current", f"{current.model} is the newest for this device")
        if state.pinned:
            return outcome("pinned", f"{current.model} is pinned; {release.model} waits")
        trial = _install(installed, trust, release, current, place / "partial", progress)
        detail = f"{release.model} takes the place of {current.model}; {trial}"
        return outcome("updated", detail)


def _install(
    installed: Installed,
    trust: TrustedRepository,
    release: Release,
    current: InstalledModel,
    partial: Path,
    progress: Progress,
) -> str:
    model = installed.by_digest(release.manifest.sha256)
    if model is None or not _is_whole(model.folder):
        manifest = _fetch(trust, release, partial, installed, progress)
        with installed.new(release.model, release.manifest.sha256) as draft:
            _assemble(draft, manifest, release, partial, installed)
            progress.step("trying it")
            latency, told = _try(installed, draft, release, current)
    else:
        progress.step("trying it")
        latency, told = _try(installed, model.folder, release, current)
    model = installed.by_digest(release.manifest.sha256)
    assert model is not None
    with installed.changing() as state:
        state.trial = Trial(
            digest=model.digest,
            since=datetime.now(UTC),
            hours=release.watch_hours,
            latency=latency,
        )
    installed.use(model.name)
    shutil.rmtree(partial, ignore_errors=True)
    installed.tidy()
    return told


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
    """Put a bundle together of what came and what was here; its files may be in several bundles."""
    for entry in manifest.files():
        source = partial / entry.sha256
        if not source.exists():
            found = _reusable(installed, entry)
            if found is None:
                raise SyncError(f"{entry.name} of {release.model} is gone; sync again")
            source = found
        try:
            os.link(source, draft / entry.name)
        except OSError:
            shutil.copyfile(source, draft / entry.name)
    shutil.copyfile(partial / release.manifest.sha256, draft / MANIFEST)
    try:
        ModelBundle.load(draft)
    except BundleError as error:
        raise SyncError(f"{release.model} is no whole bundle: {error}") from error


def _try(
    installed: Installed, folder: Path, release: Release, current: InstalledModel
) -> tuple[float, str]:
    """Seconds of one inference, and the same in words; a model that does not pass is blocked."""
    try:
        trial = try_out(folder, current.folder, release.budget)
    except SyncError as error:
        installed.block(release.manifest.sha256, release.model, str(error))
        raise SyncError(
            f"{release.model} is not taken: {error}; {current.model} stays in use"
        ) from error
    return trial.latency, f"{trial.latency * 1000:.1f} ms with {trial.target}"


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
    """The root of trust to begin with: the one that is given, else the newest that was kept."""
    if given is not None:
        try:
            content = given.read_bytes()
        except OSError as error:
            raise SyncError(f"cannot read {given}: {error.strerror}") from error
        if not is_root(content):
            raise SyncError(f"{given} is no root.json; the repository's keeper has it")
        return content
    kept = (place / "root_history").glob("*.root.json")
    # A power cut may have left the newest one empty.
    for path in sorted(kept, key=lambda path: int(path.name.partition(".")[0]), reverse=True):
        content = path.read_bytes()
        if is_root(content):
            return content
    raise SyncError(
        "nothing is trusted yet: --root names the root.json that the repository's keeper gave you"
    )


def _check_clock(certain: datetime | None) -> None:
    now = datetime.now(UTC)
    if certain is not None and now < certain - _CLOCK_OFF:
        raise SyncError(
            f"clock: this machine's says {now:%Y-%m-%d}, but it is {certain:%Y-%m-%d} at least; "
            "`timedatectl` sets it"
        )


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
            yield place
    except OSError as error:
        raise SyncError(
            f"cannot write to {place}: {error.strerror or error}; --models names another folder"
        ) from error
