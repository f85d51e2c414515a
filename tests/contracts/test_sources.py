"""One contract for all cameras: frames in RGB, counted and timed, until the camera is closed."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from birdedge.runtime.errors import SourceError
from birdedge.runtime.sources.cameras import camera_frames, kind_of, open_source

RED = (208, 16, 16)


class FakePicamera2:
    """Stands in for the library of Raspberry Pi OS, as far as its manual says what it does."""

    def __init__(self, number: int) -> None:
        if number > 0:
            raise IndexError("list index out of range")
        self.size, self.format = (0, 0), ""

    def create_video_configuration(self, main: dict[str, object]) -> dict[str, object]:
        return main

    def configure(self, configuration: dict[str, object]) -> None:
        self.size, self.format = configuration["size"], configuration["format"]

    def start(self) -> None:
        assert self.format == "BGR888"  # libcamera's name for red, green, blue in memory

    def capture_array(self, name: str, *, wait: bool) -> Callable[[], NDArray[np.uint8]]:
        assert (name, wait) == ("main", False)
        time.sleep(0.02)
        return lambda: np.full((*self.size[::-1], 3), RED, dtype=np.uint8)

    def wait(self, job: Callable[[], NDArray[np.uint8]], timeout: float) -> NDArray[np.uint8]:
        assert timeout < 10
        return job()

    def close(self) -> None:
        pass


LIVE = pytest.mark.parametrize("spec", ["http", "rtsp", "picamera", "usb"], indirect=True)


@pytest.fixture(params=["video", "dir", "http", "rtsp", "picamera", "usb"])
def spec(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A camera of each kind, which sees red."""
    if request.param == "video":
        yield str(write_video(tmp_path / "feeder.mp4"))
    elif request.param == "dir":
        yield from growing_folder(tmp_path)
    elif request.param == "http":
        yield request.getfixturevalue("mjpeg")(password="secret").url
    elif request.param == "rtsp":
        yield request.getfixturevalue("rtsp")
    elif request.param == "picamera":
        module = SimpleNamespace(Picamera2=FakePicamera2)
        monkeypatch.setitem(sys.modules, "picamera2", module)
        yield "picamera"
    elif not Path("/dev/video0").exists():
        pytest.skip("no camera at /dev/video0")
    else:
        yield "usb:0"


def write_video(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 20, (160, 96))
    for _ in range(40):
        writer.write(np.full((96, 160, 3), RED[::-1], dtype=np.uint8))
    writer.release()
    return path


def growing_folder(folder: Path) -> Iterator[str]:
    enough = threading.Event()

    def upload() -> None:
        number = 0
        while not enough.wait(0.1):
            Image.new("RGB", (160, 96), RED).save(folder / f"{number:03}.jpg")
            number += 1

    camera = threading.Thread(target=upload)
    camera.start()
    yield f"dir:{folder}"
    enough.set()
    camera.join()


def test_frames_are_rgb_counted_and_timed(spec: str) -> None:
    source = open_source(spec)
    frames = list(islice(source, 4))
    source.close()

    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    for frame in frames:
        height, width, channels = frame.pixels.shape
        assert (frame.pixels.dtype, channels) == (np.uint8, 3) and width > height
        if not spec.startswith("usb"):
            np.testing.assert_allclose(frame.pixels.mean(axis=(0, 1)), RED, atol=40)
        assert abs(datetime.now(UTC) - frame.captured_at) < timedelta(minutes=1)
    seconds = [frame.seconds for frame in frames]
    assert seconds == sorted(seconds) and seconds[0] < seconds[-1] < 20


@LIVE
def test_live_frames_that_nobody_wants_are_left_out(spec: str) -> None:
    source = open_source(spec)
    asked = []

    def every_third() -> bool:
        asked.append(time.monotonic())
        return len(asked) % 3 == 0

    source.wanted = every_third
    frames = list(islice(source, 3))
    source.close()

    assert len(asked) == 9
    assert [frame.number for frame in frames] == [0, 1, 2]


@LIVE
def test_of_a_camera_ten_frames_a_second_are_seen_at_most(spec: str) -> None:
    frames = list(camera_frames(spec, seconds=3.0))
    assert 2 <= len(frames) <= 33


def test_no_frame_is_named_by_a_password(spec: str) -> None:
    source = open_source(spec)
    frame = next(iter(source))
    source.close()

    assert "secret" not in frame.source and "me:" not in frame.source
    assert frame.source


def test_cameras_that_are_closed_leave_no_file_open(spec: str) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    counts = []
    for _ in range(4):
        frames = camera_frames(spec)
        next(frames)
        frames.close()
        counts.append(open_files())
    # Some engines keep a file of their own from the first time on, or close it in a thread.
    end = time.monotonic() + 5
    while open_files() > counts[1] and time.monotonic() < end:
        time.sleep(0.05)
    assert open_files() <= counts[1]


def test_frames_end_when_the_time_is_over(spec: str) -> None:
    start = time.monotonic()
    frames = list(camera_frames(spec, seconds=1.5))

    assert frames
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("0", "usb"),
        ("usb:1", "usb"),
        ("/dev/video2", "usb"),
        ("picamera", "picamera"),
        ("picamera:1", "picamera"),
        ("rtsp://me:secret@camera/live", "rtsp"),
        ("RTSPS://camera/live", "rtsps"),
        ("http://camera:8080/stream", "http"),
        ("dir:uploads", "dir"),
        ("feeder.mp4", "video"),
    ],
)
def test_a_text_names_a_kind_of_camera(spec: str, kind: str) -> None:
    assert kind_of(spec) == kind


@pytest.mark.parametrize("spec", ["", "camera", "ftp://me:secret@camera", "-1", "usb"])
def test_what_names_no_camera_is_told_what_would(spec: str) -> None:
    with pytest.raises(SourceError, match=r"names no camera|cannot be opened") as caught:
        open_source(spec)
    assert "secret" not in str(caught.value)


def test_a_camera_that_is_not_there_is_told_how_to_look_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=r"camera 99 .*/dev/video"):
        next(camera_frames("99"))
    with pytest.raises(SourceError, match=r"apt install python3-picamera2.*--system-site-packages"):
        next(camera_frames("picamera"))
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    with monkeypatch.context() as patched:
        patched.syspath_prepend(tmp_path)
        with pytest.raises(SourceError, match=r"size changed.*--force-reinstall simplejpeg"):
            next(camera_frames("picamera"))
    module = SimpleNamespace(Picamera2=FakePicamera2)
    monkeypatch.setitem(sys.modules, "picamera2", module)
    with pytest.raises(SourceError, match=r"picamera:1 cannot be opened.*--list-cameras"):
        next(camera_frames("picamera:1"))
