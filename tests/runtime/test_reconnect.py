"""A camera that is lost is tried until it is back; what it sees goes on, and is told."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from cameras.mjpeg import MjpegCamera

from birdedge.runtime import backoff
from birdedge.runtime.errors import SourceError
from birdedge.runtime.sources import Frame, Lost, reconnect
from birdedge.runtime.sources.cameras import camera_frames
from birdedge.runtime.sources.reconnect import Reconnecting

SwitchOn = Callable[..., MjpegCamera]
Birdedge = Callable[..., subprocess.CompletedProcess[str]]

BLUE = "#1010d0"
"""What an Indigo Bunting is to the model of these tests; red is a Northern Cardinal."""


@pytest.fixture
def model(bundle) -> Path:
    return bundle.folder


class Camera:
    """Gives so many frames, then breaks."""

    live = True

    def __init__(self, frames: int = 1) -> None:
        self.frames = frames
        self.closed = False

    def __iter__(self) -> Generator[Frame, None, None]:
        for number in range(self.frames):
            yield Frame(np.zeros((2, 2, 3), np.uint8), datetime.now(UTC), "garden", number, 0.0)
        raise SourceError("garden broke off")

    def close(self) -> None:
        self.closed = True


def frames_of(source: Reconnecting) -> Generator[Frame, None, None]:
    """Its frames without its losses."""
    for moment in source:
        if isinstance(moment, Frame):
            yield moment


def test_frames_of_a_source_that_does_not_ask_are_left_out_all_the_same() -> None:
    asked = []

    def every_second() -> bool:
        asked.append(1)
        return len(asked) % 2 == 0

    source = Reconnecting(Camera(6), Camera, every_second)
    frames = list(islice(frames_of(source), 3))
    source.close()
    assert len(asked) == 6
    assert [frame.number for frame in frames] == [0, 1, 2]


def test_a_camera_that_was_off_goes_on_where_it_was(
    mjpeg: SwitchOn, caplog: pytest.LogCaptureFixture
) -> None:
    camera = mjpeg()
    frames = camera_frames(camera.url)
    before = list(islice(frames, 3))
    camera.off()
    threading.Timer(1.0, mjpeg, kwargs={"port": camera.port, "color": BLUE}).start()
    after = next(frame for frame in frames if frame.pixels[0, 0, 2] > 100)
    frames.close()

    assert after.number > before[-1].number
    assert after.seconds > before[-1].seconds + 0.5
    lost, back = (line for line in caplog.messages if " back" in line)
    assert lost.endswith("trying again until it is back")
    assert f"{camera.url} is back after" in back


def test_a_stream_that_falls_silent_is_noticed_within_ten_seconds(
    mjpeg: SwitchOn, caplog: pytest.LogCaptureFixture
) -> None:
    camera = mjpeg()
    frames = camera_frames(camera.url)
    next(frames)
    camera.silent.set()
    fell_silent = time.monotonic()
    threading.Timer(9.5, camera.silent.clear).start()
    while "broke off: no answer" not in caplog.text:
        next(frames)
    noticed = time.monotonic() - fell_silent
    frames.close()

    assert 7 < noticed < 10
    assert camera.callers == 2


def test_pauses_grow_and_are_never_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Camera] = []
    pauses: list[float] = []

    def open_again() -> Camera:
        if len(opened) < 8:
            opened.append(Camera(frames=0))
        else:
            opened.append(Camera(frames=1))
        return opened[-1]

    source = Reconnecting(Camera(), open_again)
    monkeypatch.setattr(source._closed, "wait", lambda timeout: pauses.append(timeout))
    assert [frame.number for frame in islice(frames_of(source), 2)] == [0, 1]

    assert len(pauses) == 9
    assert all(0 <= pause <= 2**turn for turn, pause in enumerate(pauses))
    assert len(set(pauses)) == 9
    assert all(camera.closed for camera in opened[:-1])


@pytest.mark.parametrize(("steady", "longest"), [(60.0, 60.0), (0.0, 1.0)], ids=["brief", "steady"])
def test_a_camera_that_gives_a_frame_and_ends_is_not_asked_without_pause(
    monkeypatch: pytest.MonkeyPatch, steady: float, longest: float
) -> None:
    """A picture's address, say; one that lasts is tried again at once."""
    monkeypatch.setattr(reconnect, "_STEADY_SECONDS", steady)
    monkeypatch.setattr(backoff.random, "uniform", lambda low, high: high)
    pauses: list[float] = []
    source = Reconnecting(Camera(), Camera)
    monkeypatch.setattr(source._closed, "wait", lambda timeout: pauses.append(timeout))

    assert len(list(islice(frames_of(source), 10))) == 10
    assert pauses == [min(2.0**turn, longest) for turn in range(9)]


def test_each_try_in_vain_is_told_and_keeps_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Camera:
        raise SourceError("garden cannot be opened")

    source = Reconnecting(Camera(frames=2), never)
    monkeypatch.setattr(source._closed, "wait", lambda timeout: time.sleep(0.02))
    first, second, *losses = islice(source, 6)

    assert isinstance(first, Frame) and isinstance(second, Frame)
    assert all(isinstance(loss, Lost) for loss in losses)
    assert losses[0].seconds - second.seconds < 0.02
    assert 0.06 <= losses[-1].seconds - losses[0].seconds < 0.6


def test_a_camera_that_fails_at_closing_too_is_tried_again() -> None:
    class Stuck(Camera):
        def close(self) -> None:
            raise RuntimeError("the camera is in the wrong state")

    source = Reconnecting(Stuck(), Stuck, first_pause=0.01)

    assert len(list(islice(frames_of(source), 3))) == 3


def test_what_a_driver_raises_is_a_loss_like_others(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Camera):
        def __iter__(self) -> Generator[Frame, None, None]:
            raise ValueError("me:secret@garden")
            yield

    source = Reconnecting(Broken(), Camera, first_pause=0.01)

    assert len(list(islice(frames_of(source), 3))) == 3
    assert "the camera failed (ValueError)" in caplog.text
    assert "secret" not in caplog.text


def test_who_closes_it_need_not_wait_for_the_camera() -> None:
    def never() -> Camera:
        raise SourceError("garden cannot be opened")

    source = Reconnecting(Camera(), never, first_pause=60.0)
    threading.Timer(0.3, source.close).start()
    start = time.monotonic()

    assert len(list(frames_of(source))) == 1
    assert time.monotonic() - start < 5


def test_classify_tells_of_losses_and_keeps_the_password(
    birdedge: Birdedge, model: Path, mjpeg: SwitchOn
) -> None:
    camera = mjpeg(password="secret")

    def fail_once() -> None:
        while camera.callers == 0:
            time.sleep(0.05)
        time.sleep(1.0)
        camera.off()
        mjpeg(port=camera.port, password="secret", color=BLUE)

    threading.Thread(target=fail_once).start()
    options = ["--every-frame", "--json", "--seconds", 6]
    done = birdedge("classify", "--camera", camera.url, "--model", model, *options)

    assert done.returncode == 0
    named = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert named[0] == "Cardinalis cardinalis (Northern Cardinal)"
    assert named[-1] == "Passerina cyanea (Indigo Bunting)"
    assert "trying again until it is back" in done.stderr
    assert " is back after " in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_what_a_camera_gave_another_time_stays_saved(
    birdedge: Birdedge, model: Path, mjpeg: SwitchOn, tmp_path: Path
) -> None:
    camera = mjpeg()
    options = ["--model", model, "--every-frame", "--frames", 2, "--save-frames", "saved"]
    for _ in range(2):
        assert birdedge("classify", "--camera", camera.url, *options).returncode == 0

    numbers = sorted(path.name[:6] for path in (tmp_path / "saved").iterdir())
    assert numbers == ["000001", "000002", "000003", "000004"]


def test_a_stream_alone_is_a_camera(birdedge: Birdedge, model: Path, rtsp: str) -> None:
    options = ["--model", model, "--json", "--frames", 3]
    moving = birdedge("classify", rtsp, *options)
    whole = birdedge("classify", rtsp, "--every-frame", *options)

    assert (moving.returncode, moving.stdout) == (0, "")  # it sees nothing but red
    assert whole.returncode == 0
    lines = [json.loads(line) for line in whole.stdout.splitlines()]
    assert [line["prediction"] for line in lines] == [
        "Cardinalis cardinalis (Northern Cardinal)"
    ] * 3
    assert {line["filepath"] for line in lines} == {rtsp.replace("me:secret@", "")}
    assert "secret" not in moving.stderr + whole.stderr


def test_a_camera_that_gives_nothing_is_exit_code_1(
    birdedge: Birdedge, model: Path, mjpeg: SwitchOn
) -> None:
    camera = mjpeg(password="secret")
    wrong = camera.url.replace("secret", "guess")
    done = birdedge("classify", "--camera", wrong, "--model", model)

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "cannot be opened: Server returned 401" in line
    assert "guess" not in line


def test_ctrl_c_ends_at_once_while_the_camera_is_lost(
    environment: dict[str, str], model: Path, mjpeg: SwitchOn, tmp_path: Path
) -> None:
    camera = mjpeg()
    command = [sys.executable, "-m", "birdedge", "classify", "--camera", camera.url]
    with subprocess.Popen(
        [*command, "--model", str(model), "--every-frame", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        # A shell's background job would not hear of it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        assert running.stdout is not None and running.stderr is not None
        assert "Northern Cardinal" in running.stdout.readline()
        camera.off()
        assert "watching" in running.stderr.readline()
        assert "trying again" in running.stderr.readline()
        time.sleep(0.5)
        os.kill(running.pid, signal.SIGINT)
        start = time.monotonic()
        running.stdout.read()

        assert running.wait(20) == 130
        assert time.monotonic() - start < 6
