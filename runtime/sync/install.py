"""A release, from the repository to the model in use: fetched, put together, tried, swapped in."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..bundle import MANIFEST, ModelBundle, check_file, read_manifest
from ..errors import BundleError, SyncError
from ..installed import Installed, InstalledModel
from ..manifest import FileEntry, Manifest
from ..model_state import Trial
from .download import download
from .release import Release
from .trial import Measured, WrongModelError, try_out
from .trust import TrustedRepository

_FREE_BYTES = 50_000_000
"""Left free on the disk, for whatever else the machine does."""

_TRIES = 3
"""A model that is too slow, too large or dies here is tried so often: the machine may be busy."""

What = Literal["updated", "current", "waiting", "pinned", "withdrawn"]


@dataclass(frozen=True)
class Progress:
    """Who is told while it lasts: of the bytes that will come, of each that came, of each step."""

    expect: Callable[[int], None] = lambda _: None
    came: Callable[[int], None] = lambda _: None
    step: Callable[[str], None] = lambda _: None


def install(
    installed: Installed,
    trust: TrustedRepository,
    release: Release,
    partial: Path,
    progress: Progress,
) -> tuple[What, str]:
    """Bring a release, try it, and put it to use.

    Args:
        installed: the device's models.
        trust: the repository that has it.
        release: to bring.
        partial: folder of downloads that are gone on from.
        progress: who is told.

    Returns:
        What came of it, and a sentence for people.

    Raises:
        SyncError: it does not come, or is no good; the model in use stays.
    """
    digest, current = release.manifest.sha256, installed.current()
    model = installed.by_digest(digest)
    if model is None or not is_whole(model.folder):
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
    if digest == current.digest:
        return "updated", f"{release.model} was damaged, and is whole again; {speed}"
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
    # What other models here have is copied.
    needed = sum(entry.bytes for entry in (release.manifest, *manifest.files())) - there
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


def is_whole(folder: Path) -> bool:
    """Whether a bundle can be loaded, with all of its files as they should be."""
    try:
        ModelBundle.load(folder)
    except BundleError:
        return False
    return True
