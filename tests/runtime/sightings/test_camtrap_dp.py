"""`birdedge sightings export --format camtrap-dp` gives what Camtrap DP 1.0 asks for."""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import frictionless
import pytest
from camtrap import camtrap_errors

from birdedge.runtime.sightings.exports import camera_name
from birdedge.runtime.sightings.recorder import Recorder
from birdedge.runtime.visits import Visit

Birdedge = Callable[..., subprocess.CompletedProcess[str]]

PLACE = ("--latitude", 42.45, "--longitude", -76.5)


@pytest.fixture
def export(
    birdedge: Birdedge,
    tmp_path: Path,
    visit: Callable[..., Visit],
    minutes: Callable[[float], datetime],
) -> Callable[..., Path]:
    """Two cameras, a bird that a person corrected, one that was none, and an unknown one."""
    recorder = Recorder(tmp_path / "store")
    for number, name in enumerate(["Blue Jay", "Mallard", None, "Blue Jay", "Indigo Bunting"]):
        source = "rtsp://camera/live" if number % 2 else "usb:0"
        recorder.take(visit(name, minutes(number), id_=f"{number}" * 32, source=source))
    recorder.close()
    shop = {"BIRDEDGE_STORE": str(tmp_path / "store")}
    birdedge("sightings", "relabel", "1111", "blue jay", env=shop)
    birdedge("sightings", "relabel", "3333", "--no-bird", env=shop)

    def run(*options: object) -> Path:
        out = tmp_path / "package"
        done = birdedge(
            "sightings", "export", "--format", "camtrap-dp", "--out", out, *options, env=shop
        )
        assert done.returncode == 0, done.stderr
        return out

    return run


def table(package: Path, name: str) -> list[dict]:
    resource = frictionless.Resource(path=f"{name}.csv", basepath=str(package))
    return [row.to_dict() for row in resource.read_rows()]


def test_the_package_is_valid(export: Callable[..., Path]) -> None:
    assert camtrap_errors(export("--unknown", *PLACE)) == []


def test_the_validator_would_notice(export: Callable[..., Path]) -> None:
    package = export("--unknown", *PLACE)
    observations = package / "observations.csv"
    observations.write_text(observations.read_text().replace(",0.9,", ",1.4,", 1))
    media = package / "media.csv"
    media.write_text(media.read_text().replace("usb-0", "usb-9", 1))
    content = json.loads((package / "datapackage.json").read_text())
    content["project"]["samplingDesign"] = "garden"
    (package / "datapackage.json").write_text(json.dumps(content))

    told = "\n".join(camtrap_errors(package))
    assert "1.4" in told and "usb-9" in told and "garden" in told


def test_it_says_what_was_seen_and_by_whom_it_was_named(export: Callable[..., Path]) -> None:
    rows = table(export("--unknown", *PLACE), "observations")

    assert [row["scientificName"] for row in rows] == [
        "Cyanocitta cristata", "Cyanocitta cristata", None, None, "Passerina cyanea"
    ]  # fmt: skip
    assert [row["observationType"] for row in rows] == [
        "animal", "animal", "unknown", "blank", "animal"
    ]  # fmt: skip
    assert [row["classificationMethod"] for row in rows] == [
        "machine", "human", "machine", "human", "machine"
    ]  # fmt: skip
    assert rows[1]["observationComments"] == "model-1 said: Mallard"
    assert rows[0]["eventStart"] == datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
    assert float(rows[0]["classificationProbability"]) == 0.9


def test_pictures_lie_in_the_package(export: Callable[..., Path]) -> None:
    package = export("--unknown", *PLACE)
    rows = table(package, "media")

    assert len(rows) == 5
    assert all((package / row["filePath"]).is_file() for row in rows)
    deployments = table(package, "deployments")
    assert {row["deploymentID"] for row in rows} == {row["deploymentID"] for row in deployments}
    by_usb, by_network = sorted((row["cameraID"] for row in deployments), reverse=True)
    assert by_usb == "usb:0"
    # Its address is nobody's business.
    assert re.fullmatch("camera-[0-9a-f]{8}", by_network)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("usb:0", "usb:0"),
        ("picamera", "picamera"),
        ("/sd1/DCIM/0001.mp4", "0001.mp4-[0-9a-f]{8}"),
        ("rtsp://camera/live", "camera-[0-9a-f]{8}"),
        ("RTSP:192.168.1.5", "camera-[0-9a-f]{8}"),
    ],
)
def test_a_camera_has_a_name_that_anyone_may_read(source: str, name: str) -> None:
    assert re.fullmatch(name, camera_name(source))


def test_recordings_of_one_name_in_two_folders_are_two_cameras() -> None:
    assert camera_name("/sd1/0001.mp4") != camera_name("/sd2/0001.mp4")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "--latitude and --longitude"),
        ((*PLACE, "--species", "ostrich"), "no such sightings"),
    ],
)
def test_what_is_missing_is_told_and_nothing_is_left(
    birdedge: Birdedge,
    export: Callable[..., Path],
    tmp_path: Path,
    options: tuple[object, ...],
    told: str,
) -> None:
    done = birdedge(
        "sightings", "export", "--format", "camtrap-dp", "--out", "new", *options,
        env={"BIRDEDGE_STORE": str(tmp_path / "store")},
    )  # fmt: skip

    assert done.returncode == 1
    assert told in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_needs_a_name(
    birdedge: Birdedge, export: Callable[..., Path], tmp_path: Path
) -> None:
    done = birdedge(
        "sightings", "export", "--format", "camtrap-dp", *PLACE,
        env={"BIRDEDGE_STORE": str(tmp_path / "store")},
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (1, "")
    assert "--out FOLDER" in done.stderr
