"""What `birdedge classify --camera` is told: what cannot be is one line, before anything begins."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cameras.mjpeg import MjpegCamera

SwitchOn = Callable[..., MjpegCamera]
Birdedge = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["photo.jpg", "--store", "x"], "it is about visits to a --camera"),
        (["photo.jpg", "--webhook", "http://x"], "it is about visits to a --camera"),
        (["--camera", "0", "--store", "x", "--no-store"], "--no-store keeps nothing"),
        (["photo.jpg", "--min-size", "1"], "it is about visits to a --camera"),
        (["photo.jpg", "--max-gb", "1"], "it is about visits to a --camera"),
        (["--camera", "0", "--every-frame", "--store", "x"], "with --every-frame, each picture"),
        (
            ["--camera", "0", "--roi", "0,0,1,1", "--every-frame", "--mqtt", "mqtt://x"],
            "with --every-frame, each picture",
        ),
        (["--camera", "dir:.", "--store", "x"], "with dir:FOLDER, each picture is named"),
        (["--camera", "0", "--min-size", "nan"], "--min-size"),
    ],
)
def test_what_cannot_go_together_is_told(birdedge: Birdedge, options: list[str], told: str) -> None:
    done = birdedge("classify", *options)

    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())


def test_settings_for_cameras_do_not_disturb_pictures(
    birdedge: Birdedge, draw: Callable[..., Path]
) -> None:
    env = {"BIRDEDGE_STORE": "x", "BIRDEDGE_MQTT": "mqtt://x", "BIRDEDGE_CAMERA": "0"}

    assert birdedge("classify", draw("red.png"), env=env).returncode == 0
    assert birdedge("classify", "--no-store", "none.jpg", env=env).returncode == 1


def test_zones_for_a_camera_do_not_disturb_a_folder(birdedge: Birdedge, tmp_path: Path) -> None:
    done = birdedge(
        "classify", "--camera", f"dir:{tmp_path}", "--seconds", "1",
        env={"BIRDEDGE_ZONES": "0,0 1,0 1,1"},
    )  # fmt: skip

    assert done.returncode != 2, done.stderr


def test_a_part_of_the_environment_gives_way_to_what_is_said_and_to_no_zones(
    birdedge: Birdedge, video: Path
) -> None:
    part, zones = {"BIRDEDGE_ROI": "0.5,0,1,1"}, {"BIRDEDGE_ZONES": "0,0 1,0 1,1"}
    wrong = birdedge("classify", "--camera", video, env=part)
    given = birdedge("classify", "--camera", video, "--whole-frame", env=part)
    both = birdedge("classify", "--camera", video, env=zones | {"BIRDEDGE_ROI": "0,0,1,1"})

    assert (wrong.returncode, given.returncode, both.returncode) == (2, 0, 2)
    assert "does not lie within the frame" in " ".join(wrong.stderr.split())
    assert "cannot be had with BIRDEDGE_ROI" in " ".join(both.stderr.split())


def test_settings_for_cameras_do_not_ring_for_a_recording(birdedge: Birdedge, video: Path) -> None:
    """A webhook that cannot be: who heeds it says so."""
    heeded = birdedge("classify", "--camera", video, "--webhook", "birds")
    ignored = birdedge(
        "classify", "--camera", video, env={"BIRDEDGE_WEBHOOK": "birds", "BIRDEDGE_MQTT": "x"}
    )

    assert (heeded.returncode, ignored.returncode) == (1, 0)
    assert "'birds' is no webhook" in heeded.stderr and "birds" not in ignored.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--mqtt", "broker"], "is no broker"), (["--webhook", "birds"], "is no webhook")],
)
def test_who_cannot_be_told_is_one_line(
    birdedge: Birdedge, mjpeg: SwitchOn, options: list[str], told: str
) -> None:
    done = birdedge("classify", "--camera", mjpeg().url, *options)

    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr.splitlines()[-1]


def test_a_store_that_cannot_be_used_is_told_before_watching(
    birdedge: Birdedge, mjpeg: SwitchOn, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = birdedge("classify", "--camera", mjpeg().url, "--store", "file")

    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot keep sightings in file" in done.stderr
