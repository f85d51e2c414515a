"""Ways to draw, serve and call, for the tests of the runtime."""

import json
import shutil
import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from colours import RED
from PIL import Image
from visitors import MORNING, make_visit

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.gather import expand, gather
from birdedge.runtime.sources import Picture
from birdedge.runtime.visits import Visit


@pytest.fixture
def edit(tmp_path: Path) -> Callable[..., ModelBundle]:
    """A copy of a bundle whose manifest says something else; nothing is checked on the way."""

    def copy(bundle: ModelBundle, **changes: Any) -> ModelBundle:
        folder = tmp_path / "edited"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bundle.folder, folder)
        manifest = json.loads((folder / "manifest.json").read_text()) | changes
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return ModelBundle.load(folder)

    return copy


@pytest.fixture(scope="session")
def classifier(bundle: ModelBundle) -> Iterator[Classifier]:
    classifier = Classifier(bundle, threads=1)
    yield classifier
    classifier.close()


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    """Save a picture of one colour under ``tmp_path``, in folders made as needed."""

    def save(name: str, color: str = RED, size: tuple[int, int] = (48, 40)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, color).save(path)
        return path

    return save


@pytest.fixture
def pictures() -> Callable[..., list[Picture]]:
    """What sources hold, as on the command line."""

    def given(*specs: object) -> list[Picture]:
        named = [str(spec) for spec in specs]
        return list(gather(expand(named), named=named))

    return given


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Ten frames at five a second: five red ones, then five blue ones."""
    import cv2

    path = tmp_path / "feeder.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 5, (64, 64))
    assert writer.isOpened()
    for number in range(10):
        bgr = (16, 16, 208) if number < 5 else (208, 16, 16)
        writer.write(np.full((64, 64, 3), bgr, dtype=np.uint8))
    writer.release()
    return path


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Start a server on 127.0.0.1 that treats each caller as told; gives its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers: list[socketserver.ThreadingTCPServer] = []

    def start(behave: Callable[[socket.socket], None]) -> str:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    self.request.recv(2**16)
                    behave(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        server = Server(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/bird.png"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def answer() -> Callable[[bytes], bytes]:
    """A whole HTTP answer with this content."""

    def wrap(content: bytes) -> bytes:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        return head.encode() + content

    return wrap


@pytest.fixture
def visit() -> Callable[..., Visit]:
    return make_visit


@pytest.fixture
def minutes() -> Callable[[float], datetime]:
    return lambda count: MORNING + timedelta(minutes=count)
