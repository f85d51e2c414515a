"""`birdedge classify --camera`: real birds before a real server, named once each, and kept."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from cameras.mjpeg import MjpegCamera
from camtrap import camtrap_errors
from numpy.typing import NDArray
from PIL import Image

from birdedge.benchmarks.footage import Bird, Footage
from birdedge.runtime.classify import highest_number
from birdedge.runtime.service import unit

SwitchOn = Callable[..., MjpegCamera]
Birdedge = Callable[..., subprocess.CompletedProcess[str]]

FPS = 10
PERCH = (0.55, 0.5)
VISIT = [(-0.2, 0.3), PERCH, PERCH, PERCH, (1.2, 0.4)]


@pytest.fixture(scope="module")
def footage(shared: Path) -> Footage:
    """A jay, a goldfinch and, eight seconds later, the jay again."""
    video = cv2.VideoCapture(str(shared / "data" / "scenes" / "cockatoo.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, 279)
    read, bgr = video.read()
    assert read
    video.release()
    scene = cv2.cvtColor(cv2.resize(bgr, (1280, 720)), cv2.COLOR_BGR2RGB)

    def photo(species: str) -> NDArray[np.uint8]:
        folder = shared / "data" / "cub100" / "test" / species
        return np.asarray(Image.open(sorted(folder.iterdir())[0]).convert("RGB"))

    birds = [
        Bird("Blue Jay", photo("Blue_Jay"), 2.0, 5.0, VISIT, 0.35),
        Bird("American Goldfinch", photo("American_Goldfinch"), 11.0, 5.0, VISIT, 0.3),
        Bird("Blue Jay", photo("Blue_Jay"), 24.0, 5.0, VISIT[::-1], 0.25),
    ]
    return Footage(scene, birds, seconds=33, fps=FPS)


@pytest.fixture(scope="module")
def jpegs(footage: Footage) -> list[bytes]:
    return [
        cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
        for _, pixels, _ in footage.frames()
    ]


@pytest.fixture
def recording(footage: Footage, tmp_path: Path) -> Path:
    return recorded(footage, tmp_path)


def recorded(footage: Footage, folder: Path) -> Path:
    path = folder / "feeder.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (1280, 720))
    for _, pixels, _ in footage.frames():
        writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture
def watching(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `birdedge classify` and let it run."""
    started = []

    def start(*options: object, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "birdedge", "classify", *map(str, options)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
                env=environment | (env or {}),
                # A shell's background job would not hear of it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
        )  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd hears, where it listens at ``tmp_path / "notify"``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def seen(birdedge: Birdedge, store: Path) -> list[dict]:
    done = birdedge("sightings", "list", "--json", "--store", store)
    return [json.loads(line) for line in done.stdout.splitlines()]


def heard(systemd: socket.socket) -> bytes:
    """All that was told since."""
    told = b""
    with suppress(BlockingIOError):
        while True:
            told += systemd.recv(1000)
    return told


@pytest.mark.slow
def test_visits_to_a_camera_that_restarts_are_kept(
    birdedge: Birdedge,
    watching: Callable[..., subprocess.Popen[str]],
    mjpeg: SwitchOn,
    jpegs: list[bytes],
    systemd: socket.socket,
    tmp_path: Path,
) -> None:
    """The garden goes on while the camera is away, between the second bird and the third."""
    start = time.monotonic() + 6.0  # until then, it looks at an empty garden

    def now() -> float:
        return time.monotonic() - start

    def sees() -> bytes:
        return jpegs[min(max(int(now() * FPS), 0), len(jpegs) - 1)]

    camera = mjpeg(sees=sees)
    # The service's own command line: the address is not for all to see.
    line = next(line for line in unit().splitlines() if line.startswith("ExecStart="))
    options = line.partition(" classify ")[2].replace("/var/lib/birdedge", str(tmp_path / "store"))
    env = {"BIRDEDGE_CAMERA": camera.url, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    process = watching(*options.split(), env=env)
    told = b""
    while now() < 20.0:
        time.sleep(0.1)
        told += heard(systemd)
    camera.off()
    time.sleep(1.0)
    mjpeg(port=camera.port, sees=sees)
    while now() < 28.0:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    told += heard(systemd)

    assert process.returncode == 0, err
    assert told.startswith(b"READY=1\nWATCHDOG=1")
    assert told.count(b"WATCHDOG=1") > 10
    assert b"STATUS=2 visits" in told
    assert told.endswith(b"STOPPING=1")
    assert " is back after " in err
    birds = ["Blue Jay", "American Goldfinch", "Blue Jay"]
    assert [line.split("%  ")[1].split("  (")[0] for line in out.splitlines()] == birds
    sightings = seen(birdedge, tmp_path / "store")
    assert [sighting["common_name"] for sighting in sightings] == birds
    assert all(sighting["ended"] for sighting in sightings)
    assert 3 < sightings[0]["seconds"] < 6
    for sighting in sightings:
        with Image.open(tmp_path / "store" / sighting["picture"]) as picture:
            assert min(picture.size) > 100
    package = tmp_path / "package"
    place = ("--latitude", 42.45, "--longitude", -76.5)
    exported = birdedge(
        "sightings", "export", "--format", "camtrap-dp", *place, "--out", package,
        env={"BIRDEDGE_STORE": str(tmp_path / "store")},
    )  # fmt: skip
    assert exported.returncode == 0, exported.stderr
    assert camtrap_errors(package) == []


@pytest.mark.slow
def test_zones_may_come_from_the_environment_as_of_the_service(
    birdedge: Birdedge, recording: Path
) -> None:
    corners = "0,0 0.02,0 0.02,0.02; 0.98,0.98 1,0.98 1,1"
    nothing = birdedge("classify", "--camera", recording, env={"BIRDEDGE_ZONES": corners})
    too_small = birdedge("classify", "--camera", recording, "--min-size", 20)
    wrong = birdedge("classify", "--camera", recording, env={"BIRDEDGE_ZONES": "0,0 1,1"})
    photo = birdedge("classify", "no.jpg", env={"BIRDEDGE_ZONES": corners})

    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert (too_small.returncode, too_small.stdout) == (0, "")
    assert wrong.returncode == 2
    assert "a zone needs three" in wrong.stderr
    assert photo.returncode == 1


@pytest.mark.slow
def test_a_recording_is_told_by_its_own_time_and_not_kept(
    birdedge: Birdedge, recording: Path, tmp_path: Path
) -> None:
    lines = birdedge("classify", "--camera", recording)
    objects = birdedge("classify", "--camera", recording, "--json", "--top-k", 2)

    assert (lines.returncode, objects.returncode) == (0, 0)
    first, second, third = lines.stdout.splitlines()
    assert first.startswith(f"{recording} 0:02")
    assert "Blue Jay" in first and "American Goldfinch" in second and "Blue Jay" in third
    visits = [json.loads(line) for line in objects.stdout.splitlines()]
    assert [visit["prediction"] for visit in visits] == [
        "Cyanocitta cristata (Blue Jay)",
        "Spinus tristis (American Goldfinch)",
        "Cyanocitta cristata (Blue Jay)",
    ]
    assert 11 < visits[1]["seconds"] < 12
    left, top, width, height = visits[0]["detections"][0]["bbox"]
    assert 0 <= left < left + width <= 1 and 0 <= top < top + height <= 1
    assert len(visits[0]["classifications"]["classes"]) == 2
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_perch_is_named_as_a_whole_and_a_visit_for_each_bird(
    birdedge: Birdedge, recording: Path, tmp_path: Path
) -> None:
    perch = (0.43, 0.29, 0.24, 0.42)
    done = birdedge(
        "classify", "--camera", recording, "--roi", ",".join(map(str, perch)), "--json",
        "--store", "store",
    )  # fmt: skip
    elsewhere = birdedge("classify", "--camera", recording, "--roi", "0,0.8,0.2,0.2")

    visits = [json.loads(line) for line in done.stdout.splitlines()]
    # The last one is so small in it that it may as well be unknown.
    assert [visit["prediction"] for visit in visits[:2]] == [
        "Cyanocitta cristata (Blue Jay)", "Spinus tristis (American Goldfinch)",
    ]  # fmt: skip
    assert len(visits) == 3
    for visit in visits:
        assert visit["detections"][0]["bbox"] == pytest.approx(perch, abs=0.002)
    assert len(seen(birdedge, tmp_path / "store")) >= 2  # the list is of what was named
    assert (elsewhere.returncode, elsewhere.stdout) == (0, "")


def test_pictures_of_another_time_are_numbered_on(tmp_path: Path) -> None:
    assert highest_number(tmp_path / "nowhere") == 0
    for name in ("000007-feeder-Blue_Jay.jpg", "000012-feeder-Wren.jpg", "2026-05-01.jpg", "a.txt"):
        (tmp_path / name).touch()

    assert highest_number(tmp_path) == 12


@pytest.mark.slow
def test_where_nothing_can_be_said_any_more_the_visits_under_way_are_kept(
    birdedge: Birdedge, footage: Footage, environment: dict[str, str], tmp_path: Path
) -> None:
    """The line of the first bird, that has left, cannot be written; the second one is there."""
    jay, finch, _ = footage.birds
    jay = replace(
        jay, start=2.0, seconds=4.0, path=[(-0.2, 0.3), (0.2, 0.5), (0.2, 0.5), (-0.2, 0.4)]
    )
    sits = [(0.8, 0.5)] * 4
    finch = replace(finch, start=2.0, seconds=14.0, path=[(1.2, 0.3), *sits])
    camera = recorded(replace(footage, birds=[jay, finch], seconds=20), tmp_path)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "birdedge", "classify", "--camera", camera, "--store", "kept"],
            stdout=full, stderr=full, cwd=tmp_path, env=environment, check=False,
        )  # fmt: skip

    assert done.returncode == 1
    sightings = seen(birdedge, tmp_path / "kept")
    assert [each["common_name"] for each in sightings] == ["Blue Jay", "American Goldfinch"]
    assert all(each["ended"] for each in sightings)


@pytest.mark.slow
def test_ctrl_c_ends_the_visit_under_way_and_keeps_it(
    birdedge: Birdedge,
    watching: Callable[..., subprocess.Popen[str]],
    mjpeg: SwitchOn,
    jpegs: list[bytes],
    tmp_path: Path,
) -> None:
    arrives = time.monotonic() + 6.0
    camera = mjpeg(
        sees=lambda: jpegs[45 if time.monotonic() > arrives else 0]  # it sits and stays
    )
    process = watching("--camera", camera.url, "--json", "--save-frames", "crops")
    time.sleep(arrives - time.monotonic() + 4.0)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 130, err
    (visit,) = [json.loads(line) for line in out.splitlines()]
    assert visit["prediction"] == "Cyanocitta cristata (Blue Jay)"
    # Where a user's own things lie, for no store was named.
    (sighting,) = seen(birdedge, tmp_path / "data" / "birdedge" / "sightings")
    assert sighting["id"] == visit["id"]
    (crop,) = (tmp_path / "crops").iterdir()
    assert crop.name.endswith("-Blue_Jay.jpg")


@pytest.mark.slow
def test_another_model_takes_over_while_a_bird_is_there_and_names_the_next_one(
    birdedge: Birdedge,
    watching: Callable[..., subprocess.Popen[str]],
    mjpeg: SwitchOn,
    jpegs: list[bytes],
    default_model: Path,
    tmp_path: Path,
) -> None:
    """A link is pointed elsewhere while the jay sits; the goldfinch comes seven seconds later."""
    other = tmp_path / "other"
    shutil.copytree(default_model, other)
    manifest = json.loads((other / "manifest.json").read_text())
    before = manifest["id"]
    (other / "manifest.json").write_text(json.dumps(manifest | {"id": "another-one"}))
    link, draft = tmp_path / "current", tmp_path / "draft"
    link.symlink_to(default_model)
    draft.symlink_to(other)
    start = time.monotonic() + 6.0

    def now() -> float:
        return time.monotonic() - start

    camera = mjpeg(sees=lambda: jpegs[min(max(int(now() * FPS), 0), len(jpegs) - 1)])
    process = watching("--camera", camera.url, "--model", link, "--json", "--store", "store")
    time.sleep(4.0 - now())
    draft.rename(link)
    time.sleep(20.0 - now())
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 0, err
    assert "another-one names the birds from now on" in err
    visits = [json.loads(line) for line in out.splitlines()]
    assert [(visit["prediction"], visit["model_version"]) for visit in visits] == [
        ("Cyanocitta cristata (Blue Jay)", before),
        ("Spinus tristis (American Goldfinch)", "another-one"),
    ]
    assert visits[0]["votes"] > 10
    kept = seen(birdedge, tmp_path / "store")
    assert [sighting["model_id"] for sighting in kept] == [before, "another-one"]


@pytest.mark.slow
def test_a_visit_ends_and_the_watchdog_is_fed_while_the_camera_is_lost(
    birdedge: Birdedge,
    watching: Callable[..., subprocess.Popen[str]],
    mjpeg: SwitchOn,
    jpegs: list[bytes],
    systemd: socket.socket,
    tmp_path: Path,
) -> None:
    arrives = time.monotonic() + 6.0
    camera = mjpeg(sees=lambda: jpegs[45 if time.monotonic() > arrives else 0])
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    process = watching("--camera", camera.url, "--store", "store", env=env)
    time.sleep(arrives - time.monotonic() + 4.0)
    camera.off()
    lost = time.monotonic()
    heard(systemd)
    told = b""
    while b"the camera is lost; 1 visits" not in told and time.monotonic() - lost < 40:
        time.sleep(0.2)
        told += heard(systemd)
    (sighting,) = seen(birdedge, tmp_path / "store")

    assert process.poll() is None, "it goes on trying"
    assert told.count(b"WATCHDOG=1") >= 2
    assert (sighting["common_name"], sighting["ended"]) == ("Blue Jay", True)
    assert (tmp_path / "store" / sighting["picture"]).is_file()
