"""Somebody who publishes releases, and the syncs of devices that follow."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from ...compress.publish.keys import Keys
from ...compress.publish.publish import manifest_entry, publish
from ...compress.publish.repository import Repository
from ...compress.publish.storage.folder import FolderStorage
from ...runtime.bundle import ModelBundle, describe_file, new_bundle, write_manifest
from ...runtime.default import DEFAULT_MODEL
from ...runtime.sync.release import Budget, Release
from ..environment import look
from .web import Traffic, Web

_CHANNEL = "stable"


class Keeper:
    """A keeper with keys, a repository, and a web server over it.

    Attributes:
        folder: where all of it lies, and room for devices.
        web: the server.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._storage = FolderStorage(folder / "repository")
        self._keys = Keys(folder / "keys")
        first = Repository(self._storage, self._keys)
        first.begin([_CHANNEL])
        first.commit()
        self._root = folder / "root.json"
        self._root.write_bytes(first.root_bytes())
        self.web = Web(folder / "repository")

    def bundle(
        self, name: str, documents: Sequence[bytes] = (), says: str | None = None
    ) -> ModelBundle:
        """Make a bundle; see `release_of_inside`."""
        return release_of_inside(self.folder / name, name, documents, says)

    def publish(self, bundle: ModelBundle) -> None:
        """Offer a bundle before all others; how fast it is is not the question here."""
        release = Release(
            model=bundle.manifest.id,
            manifest=manifest_entry(bundle),
            published=datetime.now(UTC),
            budget=Budget(slowdown=None),
        )
        publish(Repository(self._storage, self._keys), bundle, _CHANNEL, release)

    def command(self, device: Path, limit_kb: float | None = None) -> list[str]:
        """What a device runs."""
        url = f"http://127.0.0.1:{self.web.server_address[1]}"
        command = [sys.executable, "-m", "birdedge", "sync", url, "--channel", _CHANNEL, "--json"]
        command += ["--root", str(self._root), "--models", str(device)]
        return command if limit_kb is None else [*command, "--limit-kb", str(limit_kb)]

    def sync(self, device: Path, limit_kb: float | None = None) -> dict[str, Any]:
        """Sync undisturbed; the server's counts begin anew before it."""
        vars(self.web.traffic).update(vars(Traffic()))
        done = subprocess.run(
            self.command(device, limit_kb),
            env=environment(), stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        told: dict[str, Any] = json.loads(done.stdout)
        return told


@contextmanager
def keeper() -> Iterator[Keeper]:
    """A keeper for as long as the block lasts."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as place:
        repository = Keeper(Path(place))
        try:
            yield repository
        finally:
            repository.web.shutdown()
            repository.web.server_close()


def release_of_inside(
    folder: Path, name: str, documents: Sequence[bytes] = (), says: str | None = None
) -> ModelBundle:
    """The model inside birdedge as a release of its own: what its network says of itself differs.

    Args:
        folder: of the new bundle.
        name: its id.
        documents: contents of further files.
        says: what the network says; its name if nothing.
    """
    inside = ModelBundle.load(DEFAULT_MODEL)
    ((key, target),) = inside.manifest.targets.items()
    (network,) = target.files
    with new_bundle(folder) as draft:
        for entry in inside.manifest.files():
            shutil.copyfile(inside.folder / entry.name, draft / entry.name)
        model = onnx.load(draft / network.name)
        model.metadata_props.add(key="release", value=says or name)
        onnx.save(model, draft / network.name)
        more = []
        for number, content in enumerate(documents):
            path = draft / f"document-{number}.bin"
            path.write_bytes(content)
            more.append(describe_file(path))
        changed = target.model_copy(update={"files": (describe_file(draft / network.name),)})
        changes = {
            "id": name,
            "targets": {key: changed},
            "documents": (*inside.manifest.documents, *more),
        }
        write_manifest(draft, inside.manifest.model_copy(update=changes))
    return ModelBundle.load(folder)


def environment() -> dict[str, str]:
    """Of syncs: what people set for themselves has no say."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("BIRDEDGE_")}
    return own | {"no_proxy": "127.0.0.1"}


def tell_machine() -> None:
    """Say which machine this is, and whether it is busy."""
    machine = look()
    print(f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}")
    for warning in machine.warnings():
        print(f"  but {warning}")
