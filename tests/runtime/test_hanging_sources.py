"""Servers, pipes and standard inputs that say no more: Ctrl-C and `--seconds` are heard anyway."""

import json
import os
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


def hang(caller: socket.socket) -> None:
    time.sleep(60)


def took(process: subprocess.Popen[str]) -> tuple[float, list[str], str]:
    """Seconds from now to its end, and what it wrote."""
    began = time.monotonic()
    out, errors = process.communicate(timeout=60)
    return time.monotonic() - began, out.splitlines(), errors


@pytest.mark.parametrize("kind", ["bird.png", "feeder.mp4", "-", "pipe"])
def test_so_many_seconds_bound_a_source_that_hangs(
    start: Start, serve: Serve, draw: Draw, tmp_path: Path, kind: str
) -> None:
    """What was classified before was all that there was time for, and no failure."""
    os.mkfifo(tmp_path / "pipe")
    silent, writer = os.pipe()
    spec = serve(hang).replace("bird.png", kind) if "." in kind else kind
    photos = [draw(f"{number}.png") for number in range(2)]

    process = start(*photos, spec, draw("late.png"), "--seconds", 3, stdin=silent)
    seconds, lines, errors = took(process)
    os.close(silent), os.close(writer)

    # While a video is opened, no picture is handed on.
    expected = ["0.png"] if "mp4" in kind else ["0.png", "1.png"]
    assert [Path(json.loads(line)["filepath"]).name for line in lines] == expected
    assert (process.returncode, errors) == (0, "")
    assert seconds < 3 + SOON


def test_so_many_seconds_bound_many_videos_that_hang(start: Start, serve: Serve) -> None:
    url = serve(hang).replace("bird.png", "feeder.mp4")

    process = start(*8 * [url], "--seconds", 2)
    seconds, lines, _ = took(process)

    assert (len(lines), process.returncode) == (1, 1)
    assert seconds < 2 + SOON


def test_a_server_that_hangs_holds_no_picture_back(start: Start, serve: Serve, draw: Draw) -> None:
    process = start(draw("0.png"), serve(hang))
    killed = threading.Timer(4 * SOON, process.kill)
    killed.start()
    assert process.stdout is not None

    assert "prediction" in process.stdout.readline()
    process.kill()
    killed.cancel()
    process.communicate()


@pytest.mark.parametrize("kind", ["bird.png", "feeder.mp4"])
def test_that_nothing_came_in_time_is_told(start: Start, serve: Serve, kind: str) -> None:
    url = serve(hang).replace("bird.png", kind)

    process = start(url, "--seconds", 1)
    seconds, (line,), errors = took(process)

    assert "nothing came before the time was up" in json.loads(line)["error"]
    assert errors == f"birdedge: {url}: nothing came before the time was up\n"
    assert process.returncode == 1
    assert seconds < 1 + SOON


@pytest.mark.parametrize("seconds", [0.01, 0.5])
def test_however_short_the_time_what_is_at_hand_is_read(
    start: Start, video: Path, seconds: float
) -> None:
    process = start(video, "--seconds", seconds)
    _, lines, errors = took(process)

    assert "prediction" in json.loads(lines[0])
    assert (process.returncode, errors) == (0, "")
