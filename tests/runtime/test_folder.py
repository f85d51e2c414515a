"""A folder that grows: each new picture once, and when it is whole."""

import io
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from birdedge.runtime.sources import Frame, folder
from birdedge.runtime.sources.folder import FolderSource


def jpeg(color: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (200, 120), color).save(content, "jpeg", quality=98)
    return content.getvalue()


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[list[Frame]]:
    """Frames of ``tmp_path/uploads``, where one picture lies already, as they come."""
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "old.jpg").write_bytes(jpeg("red"))
    source = FolderSource(f"dir:{uploads}")
    frames: list[Frame] = []
    # As they come: `extend` shows them at the end.
    reader = threading.Thread(target=lambda: [frames.append(frame) for frame in source])
    reader.start()
    wait_until_watched(uploads, frames)
    yield frames
    source.close()
    reader.join(5)
    assert not reader.is_alive()


def wait_until_watched(uploads: Path, frames: list[Frame]) -> None:
    end = time.monotonic() + 20
    number = 0
    while not frames and time.monotonic() < end:
        (uploads / f"first{number}.jpg").write_bytes(jpeg("white"))
        number += 1
        time.sleep(0.2)
    time.sleep(1.0)
    frames.clear()


def names(frames: list[Frame], count: int, seconds: float = 8.0) -> list[str]:
    end = time.monotonic() + seconds
    while len(frames) < count and time.monotonic() < end:
        time.sleep(0.05)
    return [Path(frame.source).name for frame in frames]


def test_new_pictures_come_and_old_ones_do_not(seen: list[Frame], tmp_path: Path) -> None:
    below = tmp_path / "uploads" / "2026-05"
    below.mkdir()
    time.sleep(0.5)
    (below / "new.jpg").write_bytes(jpeg("blue"))
    (tmp_path / "uploads" / "notes.txt").write_text("no picture")

    assert names(seen, 1) == ["new.jpg"]
    assert seen[0].pixels[0, 0, 2] > 200


def test_hidden_pictures_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drafts of uploads, and what macOS leaves; the folder itself may be hidden."""
    (tmp_path / ".cache" / "uploads" / ".partial").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / ".cache")
    source = FolderSource("dir:uploads")
    frames: list[Frame] = []
    reader = threading.Thread(target=lambda: [frames.append(frame) for frame in source])
    reader.start()
    wait_until_watched(Path("uploads"), frames)
    for name in (".partial/1.jpg", ".2.jpg", "._3.jpg", "3.jpg"):
        Path("uploads", name).write_bytes(jpeg("blue"))

    assert names(frames, 2, seconds=2.0) == ["3.jpg"]
    source.close()
    reader.join(5)


def test_a_picture_that_is_being_uploaded_is_waited_for(seen: list[Frame], tmp_path: Path) -> None:
    content = jpeg("green")
    with (tmp_path / "uploads" / "slow.jpg").open("wb", buffering=0) as upload:
        for part in range(4):
            upload.write(content[part * len(content) // 4 : (part + 1) * len(content) // 4])
            if part < 3:
                time.sleep(0.8)
                assert not seen

    assert names(seen, 1) == ["slow.jpg"]


def test_a_change_of_rights_does_not_bring_a_picture_again(
    seen: list[Frame], tmp_path: Path
) -> None:
    path = tmp_path / "uploads" / "bird.jpg"
    path.write_bytes(jpeg("red"))
    assert names(seen, 1) == ["bird.jpg"]
    path.chmod(0o600)
    assert names(seen, 2, seconds=2.0) == ["bird.jpg"]

    path.write_bytes(jpeg("blue") + b"another picture under the same name")
    assert names(seen, 2) == ["bird.jpg", "bird.jpg"]


def test_what_never_becomes_a_picture_is_told_and_passed_over(
    seen: list[Frame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(folder, "_PATIENCE_SECONDS", 1.0)
    (tmp_path / "uploads" / "broken.jpg").write_bytes(jpeg("red")[:300])
    os.mkfifo(tmp_path / "uploads" / "pipe.jpg")
    time.sleep(3)
    (tmp_path / "uploads" / "bird.jpg").write_bytes(jpeg("red"))

    assert names(seen, 1) == ["bird.jpg"]
    assert "broken.jpg" in caplog.text


def test_a_folder_that_went_and_came_back_is_watched_again(
    seen: list[Frame], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that was unmounted, or a program that makes its folder anew."""
    uploads = tmp_path / "uploads"
    shutil.rmtree(uploads)
    time.sleep(1.5)
    uploads.mkdir()
    (uploads / "at-once.jpg").write_bytes(jpeg("blue"))
    assert names(seen, 1) == ["at-once.jpg"]
    (uploads / "later.jpg").write_bytes(jpeg("green"))

    assert names(seen, 2) == ["at-once.jpg", "later.jpg"]
    assert f"{uploads} is gone; waiting until it is back" in caplog.text
    assert f"{uploads} is back" in caplog.messages
