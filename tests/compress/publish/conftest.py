"""Storages of each kind to publish to, and bundles to publish."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gcp_storage_emulator.server import create_server
from publisher import renamed
from servers.gcs import FakeGcs

from birdedge.compress.publish.storage import Storage, open_storage
from birdedge.runtime.bundle import ModelBundle

BUCKET = "birds"
ADDRESS = f"gs://{BUCKET}/field/models"


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGcs]:
    with FakeGcs() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        server.put(BUCKET, "something-else.txt", b"of somebody else")
        yield server


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The emulator that others use, for it is not ours; it knows nothing of preconditions."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    yield
    server.stop()


@pytest.fixture
def address_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Of a storage of one kind, which is there from then on."""

    def make(kind: str) -> str:
        if kind == "folder":
            return str(tmp_path / "storage")
        request.getfixturevalue(kind)
        return ADDRESS

    return make


@pytest.fixture(params=["folder", "gcs"])
def address(request: pytest.FixtureRequest, address_of: Callable[[str], str]) -> str:
    """Of a storage, of each kind."""
    return address_of(request.param)


@pytest.fixture
def storage(address: str) -> Storage:
    return open_storage(address)


@pytest.fixture
def version(tmp_path: Path, bundle: ModelBundle) -> Callable[[str], ModelBundle]:
    return lambda name: renamed(bundle, tmp_path / "versions" / name, name)
