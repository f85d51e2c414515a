"""A publisher, its repository on a real web server, and a device that follows it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from publisher import Device, Publisher, renamed
from servers.web import WebServer

from birdedge.runtime.bundle import ModelBundle


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path / "publisher")


@pytest.fixture
def web(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with WebServer(publisher.folder) as server:
        yield server


@pytest.fixture
def device(tmp_path: Path, web: WebServer, publisher: Publisher) -> Device:
    return Device(tmp_path / "device", web.url, publisher.root)


@pytest.fixture
def version(tmp_path: Path, bundle: ModelBundle) -> Callable[..., ModelBundle]:
    """Make a version of the bundle that tells colours apart."""

    def make(name: str, **changes: Any) -> ModelBundle:
        return renamed(bundle, tmp_path / "versions" / name, name, **changes)

    return make
