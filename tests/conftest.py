"""What all tests share: the real photos, the model inside birdedge, and cameras on the network."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cameras.mjpeg import MjpegCamera

REPOSITORY = Path(__file__).parents[1]


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
