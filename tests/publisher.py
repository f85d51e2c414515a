"""A publisher and a device as tests of model sync have them: their own folders, real signatures."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from birdedge.compress.publish.keys import Keys
from birdedge.compress.publish.publish import Published, manifest_entry, publish
from birdedge.compress.publish.repository import Repository
from birdedge.compress.publish.storage import Storage
from birdedge.compress.publish.storage.folder import FolderStorage
from birdedge.runtime.bundle import MANIFEST, ModelBundle, describe_file
from birdedge.runtime.installed import Installed
from birdedge.runtime.sync.line import Line
from birdedge.runtime.sync.locations import locate
from birdedge.runtime.sync.release import Budget, Release
from birdedge.runtime.sync.synchronise import Outcome, synchronise


class Publisher:
    """Somebody with all keys, and a repository.

    Args:
        folder: where keys and, unless a storage is given, the repository lie.
        channels: to begin with.
        storage: of the repository.
        now: when it begins; now if not given.
    """

    def __init__(
        self,
        folder: Path,
        channels: tuple[str, ...] = ("stable",),
        storage: Storage | None = None,
        now: datetime | None = None,
    ) -> None:
        self.folder = folder / "repository"
        self.storage = storage or FolderStorage(self.folder)
        self.keys = Keys(folder / "keys")
        self.now = now
        repository = self.repository()
        repository.begin(channels)
        repository.commit()
        self.root = folder / "root.json"
        self.root.write_bytes(repository.root_bytes())

    def repository(self) -> Repository:
        return Repository(self.storage, self.keys, self.now, expired=True)

    def publish(self, bundle: ModelBundle, channel: str = "stable", **conditions: Any) -> Published:
        return publish(self.repository(), bundle, channel, release_of(bundle, **conditions))

    def renew(self, *roles: str) -> None:
        repository = self.repository()
        repository.renew(roles or ("timestamp",))
        repository.commit()

    def rotate(self, role: str, interrupted: bool = False) -> None:
        """Replace a role's key; where it is interrupted, all but the key's own name is done."""
        repository = self.repository()
        repository.rotate(role)
        repository.commit()
        if not interrupted:
            self.keys.adopt_next(role)


class Device:
    """Somebody's Raspberry Pi.

    Args:
        folder: its only writable one.
        address: of the repository that it follows.
        root: whom it trusts.
    """

    def __init__(self, folder: Path, address: str, root: Path, channel: str = "stable") -> None:
        self.installed = Installed(folder)
        self.address = address
        self.root = root
        self.channel = channel
        self.line: Line | None = None

    def sync(self, version: str = "1.0", region: str = "", **line: Any) -> Outcome:
        self.line = Line(locate(self.address), **line)
        return synchronise(self.installed, self.line, self.channel, version, region, self.root)

    @property
    def model(self) -> str:
        return self.installed.current().model


def release_of(bundle: ModelBundle, **conditions: Any) -> Release:
    """A release for everybody, unless told otherwise; tiny networks' times say nothing."""
    given = {
        "model": bundle.manifest.id,
        "manifest": manifest_entry(bundle),
        "published": datetime.now(UTC),
        "budget": Budget(slowdown=None),
    }
    return Release.model_validate(given | conditions)


def put(device: Installed, bundle: ModelBundle) -> None:
    """Put a model among a device's, as sync does, and do not use it."""
    with device.new(bundle.manifest.id, describe_file(bundle.folder / MANIFEST).sha256) as draft:
        shutil.copytree(bundle.folder, draft, dirs_exist_ok=True)


def renamed(bundle: ModelBundle, folder: Path, name: str, **changes: Any) -> ModelBundle:
    """Another version of a bundle: the same files, another manifest."""
    shutil.copytree(bundle.folder, folder, symlinks=False)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest |= {"id": name, **changes}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return ModelBundle.load(folder)


def with_notes(bundle: ModelBundle, content: bytes) -> ModelBundle:
    """A bundle with a further file."""
    notes = bundle.folder / "notes.txt"
    notes.write_bytes(content)
    entry = describe_file(notes).model_dump()
    return _changed(bundle, lambda manifest: manifest.update(documents=[entry]))


def spoiled(bundle: ModelBundle) -> ModelBundle:
    """A bundle whose engine gives other logits here than where it was made."""
    golden = bundle.folder / bundle.manifest.golden.name
    with np.load(golden) as arrays:
        values = dict(arrays)
    for name in values:
        if name.startswith("logits/"):
            values[name] = values[name] + 1
    np.savez_compressed(golden, allow_pickle=False, **values)
    entry = describe_file(golden).model_dump()
    return _changed(bundle, lambda manifest: manifest.update(golden=entry))


def _changed(bundle: ModelBundle, change: Callable[[dict[str, Any]], None]) -> ModelBundle:
    path = bundle.folder / MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    return ModelBundle.load(bundle.folder)
