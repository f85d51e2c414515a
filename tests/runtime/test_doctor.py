"""`birdedge doctor` finds what is wrong, and says what to do."""

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cameras.mjpeg import MjpegCamera

from birdedge.runtime import doctor, machine
from birdedge.runtime.bundle import ModelBundle, describe_file
from birdedge.runtime.doctor import Finding, Patient, examine
from birdedge.runtime.sightings.recorder import Recorder

Birdedge = Callable[..., subprocess.CompletedProcess[str]]

PI = {
    "proc/cpuinfo": "processor : 0\nFeatures : fp asimd evtstrm crc32 asimdhp asimddp\n",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "51234\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
}


@pytest.fixture
def look(tmp_path: Path, bundle: ModelBundle) -> Callable[..., dict[str, list[Finding]]]:
    """Findings by name, on a Raspberry Pi whose files say this or that."""

    def run(
        files: dict[str, str] = PI, camera: str | None = None, model: Path = bundle.folder
    ) -> dict[str, list[Finding]]:
        for name, text in files.items():
            (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "root" / name).write_text(text)
        found: dict[str, list[Finding]] = {}
        for finding in examine(Patient(model, camera, tmp_path / "store", tmp_path / "root")):
            found.setdefault(finding.name, []).append(finding)
        return found

    return run


def test_all_is_well_on_a_pi(look: Callable[..., dict[str, list[Finding]]]) -> None:
    found = look()

    assert found["processor"][0].detail.startswith("Raspberry Pi 5 Model B Rev 1.0, ")
    assert "fast INT8 (dot products)" in found["processor"][0].detail
    assert found["temperature"] == [Finding("temperature", "ok", "51 degrees Celsius")]
    assert found["model"][0].detail.endswith(": self-test passed")
    assert "throttling" not in found
    names = ["python", "processor", "engine", "model", "store", "disk", "clock"]
    assert [found[name][0].state for name in names[:-1]] == ["ok"] * 6


@pytest.mark.parametrize(
    ("millidegrees", "state"), [("69000", "ok"), ("72000", "warning"), ("83000", "failure")]
)
def test_heat_is_told(
    look: Callable[..., dict[str, list[Finding]]], millidegrees: str, state: str
) -> None:
    (found,) = look(PI | {"sys/class/thermal/thermal_zone0/temp": millidegrees})["temperature"]

    assert found.state == state
    assert ("fan" in found.advice) == (state != "ok")


def test_a_weak_power_supply_is_told_now_or_since_the_start(
    look: Callable[..., dict[str, list[Finding]]],
) -> None:
    throttled = "sys/devices/platform/soc/soc:firmware/get_throttled"
    now = look(PI | {throttled: "50005"})["throttling"]
    since = look(PI | {throttled: "10000"})["throttling"]

    assert [finding.detail for finding in now] == [
        "the power supply is too weak", "it is throttled"
    ]  # fmt: skip
    assert [finding.detail for finding in since] == [
        "the power supply is too weak, or was since the start"
    ]
    assert "official power supply" in since[0].advice


@pytest.mark.parametrize(
    ("bits", "slowed"),
    [("0", False), ("1", False), ("50005", True), ("2", True), ("8", True), ("e0000", False)],
)
def test_that_it_is_slowed_down_is_known_apart_from_what_was(
    tmp_path: Path, bits: str, slowed: bool
) -> None:
    file = tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled"
    file.parent.mkdir(parents=True)
    file.write_text(f"{bits}\n")
    assert machine.is_slowed(tmp_path) is slowed


def test_an_old_processor_is_told(look: Callable[..., dict[str, list[Finding]]]) -> None:
    (found,) = look(PI | {"proc/cpuinfo": "flags : fpu sse2\n"})["processor"]

    assert (found.state, bool(found.advice)) == ("warning", True)


def test_a_damaged_model_is_told_and_the_rest_is_looked_at(
    look: Callable[..., dict[str, list[Finding]]], tmp_path: Path
) -> None:
    found = look(model=tmp_path / "none")

    assert found["model"][0].state == "failure"
    assert found["model"][0].advice
    assert found["temperature"][0].state == "ok"


def test_a_model_that_answers_otherwise_here_is_told(
    look: Callable[..., dict[str, list[Finding]]],
    make_bundle: Callable[..., ModelBundle],
    tmp_path: Path,
) -> None:
    """Another network under the name of the one whose answers are known."""
    folder = tmp_path / "wrong"
    shutil.copytree(make_bundle().folder, folder)
    other = next(make_bundle(weights=-np.eye(3, dtype=np.float32)).folder.glob("*.onnx"))
    shutil.copy(other, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (target,) = manifest["targets"].values()
    target["files"] = [describe_file(folder / other.name).model_dump()]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    found = look(model=folder)["model"]

    assert [finding.state for finding in found] == ["failure", "failure"]
    assert "self-test failed" in found[0].detail
    assert found[0].advice


def test_a_camera_is_tried(
    look: Callable[..., dict[str, list[Finding]]], mjpeg: Callable[..., MjpegCamera]
) -> None:
    (seen,) = look(camera=mjpeg(password="secret").url)["camera"]
    (dark,) = look(camera=mjpeg(color="#000000").url)["camera"]
    (gone,) = look(camera="http://me:secret@127.0.0.1:1/x")["camera"]

    assert (seen.state, seen.detail.partition(" gives ")[2]) == ("ok", "96 x 64 pixels")
    assert (dark.state, gone.state) == ("warning", "failure")
    assert "lens" in dark.advice
    assert "secret" not in seen.detail + gone.detail


def test_a_camera_that_falls_silent_is_not_waited_for(
    look: Callable[..., dict[str, list[Finding]]],
    mjpeg: Callable[..., MjpegCamera],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "_CAMERA_SECONDS", 1.0)
    camera = mjpeg()
    camera.silent.set()
    (found,) = look(camera=camera.url)["camera"]

    assert found.state == "failure"


def test_the_store_is_read(
    look: Callable[..., dict[str, list[Finding]]], tmp_path: Path, visit: Callable
) -> None:
    recorder = Recorder(tmp_path / "store")
    recorder.take(visit())
    recorder.close()
    assert look()["store"][0].detail.endswith("store, 1 sightings")

    (tmp_path / "store" / "sightings.db").write_bytes(b"no database" * 1000)
    (found,) = look()["store"]
    assert found.state == "failure"
    assert "sets a damaged database aside" in found.advice


def test_a_database_that_may_not_be_written_is_told(
    look: Callable[..., dict[str, list[Finding]]],
    tmp_path: Path,
    visit: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = Recorder(tmp_path / "store")
    recorder.take(visit())
    recorder.close()
    file = tmp_path / "store" / "sightings.db"

    with monkeypatch.context() as anybody:
        anybody.setattr(doctor.os, "access", lambda path, _: path != file)
        (found, *_) = look()["store"]
    assert found.state == "failure"
    assert found.detail == f"{file} is {file.owner()}'s, and not yours to write to"
    assert found.advice == f"sudo chown -R $USER {tmp_path / 'store'}, or another --store"

    @contextmanager
    def read_alone(_: Path) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)) as it:
            yield it

    monkeypatch.setattr(doctor, "read_database", read_alone)
    (found, *_) = look()["store"]
    assert found.state == "failure"
    assert "attempt to write a readonly database" in found.detail


def test_nobody_is_told_to_take_a_folder_above_the_store(
    look: Callable[..., dict[str, list[Finding]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the system's own: /var/lib, or / where a stick is not plugged in."""
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    (found, *_) = look()["store"]

    assert found.detail == f"{tmp_path} is {tmp_path.owner()}'s, and not yours to write to"
    assert found.advice == f"sudo install -d -o $USER {tmp_path / 'store'}, or another --store"


def test_a_store_that_is_a_file_is_told(
    look: Callable[..., dict[str, list[Finding]]], tmp_path: Path
) -> None:
    (tmp_path / "store").touch()
    (finding, *_) = look()["store"]

    assert finding.state == "failure" and "is a file" in finding.detail


def test_little_space_is_told(
    look: Callable[..., dict[str, list[Finding]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, state in ((1e9, "warning"), (1e8, "failure")):
        usage = (10**10, 0, int(free))
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _, usage=usage: _Usage(*usage))
        assert look()["disk"][0].state == state


class _Usage:
    def __init__(self, total: int, used: int, free: int) -> None:
        self.total, self.used, self.free = total, used, free


def test_a_clock_before_the_model_was_made_is_told(
    look: Callable[..., dict[str, list[Finding]]], edit: Callable[..., ModelBundle],
    bundle: ModelBundle,
) -> None:  # fmt: skip
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    (found,) = look(model=edit(bundle, created=tomorrow).folder)["clock"]

    assert (found.state, "set-ntp" in found.advice) == ("failure", True)


def test_the_command_says_so_by_its_exit_code(birdedge: Birdedge) -> None:
    well = birdedge("doctor")
    ill = birdedge("doctor", "--camera", "http://127.0.0.1:1/", "--json")

    assert well.returncode == 0, well.stdout
    assert all(line[:5].strip() in {"ok", "warn", "->", ""} for line in well.stdout.splitlines())
    assert ill.returncode == 1
    states = {
        finding["name"]: finding["state"] for finding in map(json.loads, ill.stdout.splitlines())
    }
    assert states["camera"] == "failure"
    assert states["model"] == "ok"


def test_this_machine_can_be_asked() -> None:
    assert machine.processor_features()
    assert machine.model_name()
    assert machine.temperature() is None or -20 < machine.temperature() < 120
    assert isinstance(machine.throttling(), list)
    assert isinstance(machine.is_slowed(), bool)


def test_a_pis_own_codecs_are_no_cameras(tmp_path: Path) -> None:
    for name, kind in (("video0", "HD Webcam"), ("video10", "bcm2835-codec-decode")):
        for path, text in ((f"dev/{name}", ""), (f"sys/class/video4linux/{name}/name", kind)):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)

    assert [device.name for device in machine.cameras(tmp_path)] == ["video0"]
