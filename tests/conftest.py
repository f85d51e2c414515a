"""What all tests share: the real photos, the model inside birdedge, and cameras on the network."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cameras.mjpeg import MjpegCamera
from colours import NAMES, write_network

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.importer import import_model

REPOSITORY = Path(__file__).parents[1]

# Tests run side by side, and networks as small as theirs spend more time waking threads than
# computing. Set before the first of them imports PyTorch, and for the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photos, weights and models; they are other people's and lie beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"the real photos, weights and models are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The bundle that ships inside birdedge; without it the package is broken."""
    from birdedge.runtime.default import DEFAULT_MODEL

    if not (DEFAULT_MODEL / "manifest.json").is_file():
        pytest.fail(f"birdedge ships without its model: there is none at {DEFAULT_MODEL}")
    return DEFAULT_MODEL


@pytest.fixture
def mjpeg(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MjpegCamera]]:
    """Switch a camera on that speaks MJPEG over HTTP; see `MjpegCamera`."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    cameras: list[MjpegCamera] = []

    def on(**settings: object) -> MjpegCamera:
        cameras.append(MjpegCamera(**settings))
        return cameras[-1]

    yield on
    for camera in cameras:
        camera.off()


@pytest.fixture
def rtsp() -> Iterator[str]:
    """The address, with user and password, of a camera that speaks RTSP and sees red."""
    system_python = "/usr/bin/python3"
    look = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run([system_python, "-c", look], capture_output=True, check=False).returncode:
        pytest.skip("no RTSP server: Debian's package gir1.2-gst-rtsp-server-1.0 is missing")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(__file__).with_name("cameras") / "rtsp.py"
    with subprocess.Popen(
        [system_python, program, str(port), "me", "secret"], stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield f"rtsp://me:secret@127.0.0.1:{port}/feeder"
        server.kill()


@pytest.fixture(scope="session")
def network() -> Callable[..., Path]:
    return write_network


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelBundle]:
    """Make a bundle of a network drawn to order, with labels of one's own."""

    def make(names: Sequence[str] = NAMES, id_: str = "colours", **network: Any) -> ModelBundle:
        folder = tmp_path_factory.mktemp("bundle")
        model = write_network(folder / f"{id_}.onnx", **network)
        labels = folder / "labels.txt"
        labels.write_text("\n".join(names) + "\n", encoding="utf-8")
        return ModelBundle.load(import_model(model, labels, folder / "bundle"))

    return make


@pytest.fixture(scope="session")
def bundle(make_bundle: Callable[..., ModelBundle]) -> ModelBundle:
    """Red is a Northern Cardinal, green a Calliope Hummingbird, blue an Indigo Bunting."""
    return make_bundle()


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
