"""A bundle to a channel: what is new is uploaded, then the channel's releases are signed."""

import re
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from ...runtime.bundle import MANIFEST, ModelBundle, describe_file
from ...runtime.errors import MissingExtraError
from ...runtime.golden import self_test
from ...runtime.manifest import FileEntry, Manifest
from ...runtime.sync.release import Channel, Release, channel_target
from ...runtime.sync.targets import object_name, target_of
from .repository import Repository
from .storage import ABSENT, PublishError

_MOST_RELEASES = 5
"""Of a channel. Devices that may not take the newest take the next one that they may."""

_MOST_WITHDRAWN = 100
"""That a channel remembers: a device that was away for longer follows what is offered to it."""

_DIGEST = re.compile(r"[0-9a-f]{64}")

Told = Callable[[str], None]


@dataclass(frozen=True)
class Published:
    """What publishing came to.

    Attributes:
        release: as the channel has it now.
        uploaded: bytes that were not there before.
    """

    release: Release
    uploaded: int


def publish(
    repository: Repository,
    bundle: ModelBundle,
    channel: str,
    release: Release,
    told: Told = lambda _: None,
) -> Published:
    """Offer a bundle to the devices that follow a channel.

    Publishing the same bundle again changes whom it is for.

    Args:
        repository: as it is now.
        bundle: verified.
        channel: an existing one.
        release: whom it is for.
        told: of each file that is uploaded.

    Raises:
        ConflictError: somebody else published meanwhile; nothing of this is valid.
        PublishError: there is no such channel, no key, or it cannot be written.
    """
    before = read_channel(repository, channel)
    others = [kept for kept in before.releases if kept.manifest.sha256 != release.manifest.sha256]
    entries = (release.manifest, *bundle.manifest.files())
    there = set(repository.storage.names(f"targets/{channel}/"))
    uploaded = 0
    for entry in entries:
        info = target_of(channel, entry)
        if object_name(info) not in there:
            told(entry.name)
        uploaded += _put(repository, info, bundle.folder / entry.name, there)
    digest = release.manifest.sha256
    offered = Channel(
        releases=(release, *others)[:_MOST_RELEASES],
        withdrawn=tuple(gone for gone in before.withdrawn if gone != digest),
    )
    _offer(repository, channel, offered, {digest: entries})
    repository.commit()
    return Published(release, uploaded)


def withdraw(repository: Repository, channel: str, model: str) -> str:
    """Take a release out of a channel: devices that have it go to the next that is for them.

    Until that is there, or where there is none, they go back to the model before, or to the one
    inside birdedge.

    Args:
        repository: as it is now.
        channel: an existing one.
        model: a release's id, or the beginning of its manifest's SHA-256; the whole of it for one
            that newer releases have pushed out.

    Returns:
        What was taken back: its id, or the digest of one that was pushed out.

    Raises:
        ConflictError: somebody else published meanwhile.
        PublishError: the channel has no such release, or several.
    """
    before = read_channel(repository, channel)
    found = {
        release.manifest.sha256: release.model
        for release in before.releases
        if model == release.model or (len(model) >= 4 and release.manifest.sha256.startswith(model))
    }
    if not found and _DIGEST.fullmatch(model):
        found = {model: model}
    if len(found) != 1:
        names = ", ".join(release.model for release in before.releases) or "none"
        raise PublishError(f"{model!r} is not one of {channel}'s releases: {names}")
    ((digest, name),) = found.items()
    offered = Channel(
        releases=tuple(kept for kept in before.releases if kept.manifest.sha256 != digest),
        withdrawn=tuple(dict.fromkeys((digest, *before.withdrawn)))[:_MOST_WITHDRAWN],
    )
    _offer(repository, channel, offered, {})
    repository.commit()
    return name


def check_bundle(bundle: ModelBundle) -> None:
    """Run the self-test of what can run here: what is broken at home is not sent out.

    Raises:
        PublishError: a target computes something else than when it was made.
    """
    for target in bundle.manifest.targets:
        try:
            test = self_test(bundle, target, threads=1)
        except MissingExtraError:
            continue
        if not test.passed:
            raise PublishError(
                f"{bundle.manifest.id} {target} fails its self-test here (off by "
                f"{test.largest_difference:.4g}, {test.tolerance:.4g} allowed); --untested sends "
                "it nevertheless"
            )


def manifest_entry(bundle: ModelBundle) -> FileEntry:
    """The manifest as one of the bundle's files."""
    return describe_file(bundle.folder / MANIFEST)


def read_channel(repository: Repository, channel: str) -> Channel:
    """A channel's releases; none where nothing was ever published.

    Raises:
        PublishError: there is no such channel, or it is damaged.
    """
    info = repository.targets(channel).targets.get(channel_target(channel))
    if info is None:
        return Channel()
    try:
        return Channel.model_validate_json(_content(repository, info))
    except ValidationError as error:
        raise PublishError(f"{info.path} was written by a later birdedge") from error


def _offer(
    repository: Repository,
    channel: str,
    offered: Channel,
    files: dict[str, Sequence[FileEntry]],
) -> None:
    """Sign a channel's releases, and the files of those that are among them."""
    content = offered.model_dump_json(exclude_defaults=True).encode()
    info = TargetFile.from_data(channel_target(channel), content, ["sha256"])
    _put(repository, info, content, {object_name(info)})
    with repository.edit_targets(channel) as targets:
        targets.targets.clear()
        targets.targets[info.path] = info
        for release in offered.releases:
            digest = release.manifest.sha256
            for entry in files.get(digest) or _files_of(repository, channel, release):
                file = target_of(channel, entry)
                targets.targets[file.path] = file


def _files_of(repository: Repository, channel: str, release: Release) -> tuple[FileEntry, ...]:
    """A published release's files, as its manifest has them."""
    content = _content(repository, target_of(channel, release.manifest))
    return (release.manifest, *Manifest.model_validate_json(content).files())


def _content(repository: Repository, info: TargetFile) -> bytes:
    """A target's content, if it is what was signed.

    Raises:
        PublishError: it is missing, or somebody changed it.
    """
    name = object_name(info)
    stored = repository.storage.read(name)
    if stored is None:
        raise PublishError(f"{name} is missing: the repository is damaged")
    try:
        info.verify_length_and_hashes(stored.content)
    except LengthOrHashMismatchError as error:
        raise PublishError(f"{name} is not what was signed: somebody changed it") from error
    return stored.content


def _put(
    repository: Repository, info: TargetFile, content: bytes | Path, there: Container[str]
) -> int:
    """Have a target's content where it belongs; bytes that were uploaded for it."""
    name = object_name(info)
    stored = repository.storage.read(name) if name in there else None
    if stored is not None:
        with suppress(LengthOrHashMismatchError):
            info.verify_length_and_hashes(stored.content)
            return 0
    repository.storage.write(name, content, stored.generation if stored else ABSENT)
    return info.length
