"""Servers, pipes and standard inputs that say no more: Ctrl-C and `--seconds` are heard anyway."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from birdedge.runtime.bundle import ModelBundle

Draw = Callable[..., Path]
Serve = Callable[[Callable[[socket.socket], None]], str]
Start = Callable[..., subprocess.Popen[str]]

SOON = 5.0
"""Seconds; what is tested takes a tenth of it, and what it tests for takes longer."""


@pytest.fixture
def start(bundle: ModelBundle, environment: dict[str, str], tmp_path: Path) -> Start:
    def begin(*sources: object, **more: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "birdedge", "classify", *map(str, sources),
             "--model", str(bundle.folder), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env=environment, **more,
        )  # fmt: skip

    return begin


@pytest.fixture
def half_a_video(tmp_path: Path) -> bytes:
    path = tmp_path / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (320, 240))
    noise = np.random.default_rng(0)
    for _ in range(100):
        writer.write(noise.integers(256, size=(240, 320, 3), dtype=np.uint8))
    writer.release()
    content = path.read_bytes()
    return content[: len(content) // 2]


@pytest.mark.parametrize("sent", ["nothing", "half of it"])
def test_ctrl_c_is_heard_while_a_videos_server_hangs(
    start: Start, serve: Serve, half_a_video: bytes, sent: str
) -> None:
    asked = threading.Event()

    def hang(caller: socket.socket) -> None:
        if sent != "nothing":
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + half_a_video)
        asked.set()
        time.sleep(60)

    url = serve(hang).replace("bird.png", "feeder.avi")
    process = start(
        url,
        # A job in the background ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert asked.wait(60)
    if sent != "nothing":
        assert process.stdout is not None and "prediction" in process.stdout.readline()
    time.sleep(1.0)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)

    assert process.returncode == 130
    assert time.monotonic() - began < SOON
