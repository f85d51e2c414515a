"""A tiny real model that tells colours apart, and ways to draw, serve and call."""

import os
import socket
import socketserver
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from visitors import MORNING, make_visit

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.importer import import_model
from birdedge.runtime.visits import Visit

SIZE = 32
RED, GREEN, BLUE = "#d01010", "#10d010", "#1010d0"
NAMES = (
    "Cardinalis cardinalis (Northern Cardinal)",
    "Selasphorus calliope (Calliope Hummingbird)",
    "Passerina cyanea (Indigo Bunting)",
)
SHARPNESS = 4.0


def write_network(
    path: Path,
    *,
    weights: NDArray[np.float32] | None = None,
    bias: Sequence[float] | None = None,
    batch: int | str = "batch",
    size: int | str = SIZE,
    softmax: bool = False,
    heavy: bool = False,
) -> Path:
    """A classifier whose logits are the mean red, green and blue of the picture, sharpened.

    A heavy one does a hundred million multiplications more for the same answer.
    """
    weights = SHARPNESS * np.eye(3, dtype=np.float32) if weights is None else weights
    classes = weights.shape[1]
    constants = {
        "weights": weights.astype(np.float32),
        "bias": np.asarray(bias or [0.0] * classes, dtype=np.float32),
    }
    nodes = [
        helper.make_node("GlobalAveragePool", ["pictures"], ["means"]),
        helper.make_node("Flatten", ["means"], ["channels"]),
        helper.make_node("Gemm", ["channels", "weights", "bias"], ["values"]),
    ]
    result = "values"
    if heavy:
        rng = np.random.default_rng(0)
        constants["wide"] = rng.standard_normal((96, 3, 3, 3)).astype(np.float32)
        constants["deep"] = rng.standard_normal((96, 96, 3, 3)).astype(np.float32)
        constants["nothing"] = np.zeros((96, classes), dtype=np.float32)
        pads = {"pads": [1, 1, 1, 1]}
        nodes += [
            helper.make_node("Conv", ["pictures", "wide"], ["one"], **pads),
            helper.make_node("Conv", ["one", "deep"], ["two"], **pads),
            helper.make_node("GlobalAveragePool", ["two"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "nothing"], ["zeros"]),
            helper.make_node("Add", ["values", "zeros"], ["same"]),
        ]
        result = "same"
    if softmax:
        nodes.append(helper.make_node("Softmax", [result], ["probabilities"], axis=1))
        result = "probabilities"
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def network() -> Callable[..., Path]:
    return write_network


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelBundle]:
    """Make a bundle of a network drawn to order, with labels of one's own."""

    def make(names: Sequence[str] = NAMES, **network: Any) -> ModelBundle:
        folder = tmp_path_factory.mktemp("bundle")
        model = write_network(folder / "colours.onnx", **network)
        labels = folder / "labels.txt"
        labels.write_text("\n".join(names) + "\n", encoding="utf-8")
        return ModelBundle.load(import_model(model, labels, folder / "bundle"))

    return make


@pytest.fixture(scope="session")
def bundle(make_bundle: Callable[..., ModelBundle]) -> ModelBundle:
    """Red is a Northern Cardinal, green a Calliope Hummingbird, blue an Indigo Bunting."""
    return make_bundle()


@pytest.fixture
def edit(tmp_path: Path) -> Callable[..., ModelBundle]:
    """A copy of a bundle whose manifest says something else; nothing is checked on the way."""
    import json
    import shutil

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
def environment(tmp_path: Path) -> dict[str, str]:
    """As a newly logged-in person has it: no setting of birdedge, nothing kept."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BIRDEDGE_")}
    return kept | {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PYTHONUNBUFFERED": "",
        "no_proxy": "127.0.0.1",
    }


@pytest.fixture
def birdedge(
    environment: dict[str, str], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command as a person does, in ``tmp_path``."""

    def call(
        *arguments: object, stdin: bytes | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "birdedge", *map(str, arguments)],
            input=b"" if stdin is None else stdin,
            capture_output=True,
            cwd=tmp_path,
            env=environment | (env or {}),
            timeout=120,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    return call


@pytest.fixture
def visit() -> Callable[..., Visit]:
    return make_visit


@pytest.fixture
def minutes() -> Callable[[float], datetime]:
    return lambda count: MORNING + timedelta(minutes=count)
