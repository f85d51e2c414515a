"""The systemd unit is sound, its settings come through, and systemd is told how it goes."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from birdedge.runtime import service, watch
from birdedge.runtime.errors import ServiceError
from birdedge.runtime.service import SYNC, TIMER, UNIT, install, settings, unit
from birdedge.runtime.service_commands import service as command
from birdedge.runtime.sources import Frame, Lost
from birdedge.runtime.supervision import Supervisor

Birdedge = Callable[..., subprocess.CompletedProcess[str]]


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze: Debian's package systemd is missing")
    paths = [tmp_path / name for name in (UNIT, SYNC, TIMER)]
    for path in paths:
        path.write_text(unit(Path(sys.executable), "root", path.name))
    done = subprocess.run(
        ["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_runs_this_program_as_who_installs_it(
    birdedge: Birdedge, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = birdedge("service", "print", env={"SUDO_USER": "birder"})

    assert printed.returncode == 0
    lines = printed.stdout.splitlines()
    (start,) = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart")]
    program, *arguments = shlex.split(start)
    assert Path(program).is_file()
    assert arguments == ["classify", "--store", "/var/lib/birdedge"]
    assert "User=birder" in lines
    assert "@" not in printed.stdout.replace("@system-service", "")


def test_a_program_may_lie_in_a_folder_of_any_name() -> None:
    """systemd's own escapes: quotes, %% and $$."""
    text = unit(Path('/srv/my birds/100% "$"/birdedge'), "birder")

    (start,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert start.startswith(r'ExecStart="/srv/my birds/100%% \"$$\"/birdedge" classify ')


def test_settings_come_through_a_shell_whatever_they_hold(tmp_path: Path) -> None:
    """systemd reads quotes and backslashes as a shell does."""
    camera = r"""rtsp://me:p"a$s`s\w'ord@camera/live?a=1&b=2 #3"""
    (tmp_path / "env").write_text(settings({"BIRDEDGE_CAMERA": camera}))
    done = subprocess.run(
        ["sh", "-c", '. "$1"; printf %s "$BIRDEDGE_CAMERA"', "sh", tmp_path / "env"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout == camera


@pytest.mark.parametrize(
    "values",
    [
        {"BIRDEDGE_STORE": "x"},
        {"BIRDEDGE_MODELS": "x"},
        {"PATH": "x"},
        {"birdedge_camera": "0"},
        {"BIRDEDGE_CAMERA": "0\nPATH=x"},
    ],
)
def test_settings_that_are_none_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(ServiceError):
        settings(values)


def test_a_timer_brings_new_models_where_it_is_said_from_where(tmp_path: Path) -> None:
    units = tmp_path / "etc" / "systemd" / "system"
    install("usb:0", {}, tmp_path)
    assert not (units / TIMER).exists()
    key = {"GOOGLE_APPLICATION_CREDENTIALS": "/etc/birdedge/key.json"}
    install("usb:0", {"BIRDEDGE_SYNC_FROM": "gs://birds/models", **key}, tmp_path)

    assert "RandomizedDelaySec=1h" in (units / TIMER).read_text()
    program = (units / SYNC).read_text()
    assert program.count(" sync\n") == 1
    assert "BIRDEDGE_MODELS=/var/lib/birdedge/models" in program
    assert "BIRDEDGE_MODELS=/var/lib/birdedge/models" in (units / UNIT).read_text()


def test_a_part_of_the_frame_and_zones_take_each_others_place(tmp_path: Path) -> None:
    """Both together would be refused, again and again."""
    file = tmp_path / "etc" / "birdedge" / "birdedge.env"
    install("usb:0", {"BIRDEDGE_ZONES": "0,0 1,0 1,1", "BIRDEDGE_MIN_SIZE": "1"}, tmp_path)
    install("usb:0", {"BIRDEDGE_ROI": "0,0,1,1"}, tmp_path)
    assert "BIRDEDGE_ZONES" not in file.read_text()
    assert "BIRDEDGE_ROI" in file.read_text() and "BIRDEDGE_MIN_SIZE" in file.read_text()
    install("usb:0", {"BIRDEDGE_ZONES": "0,0 1,0 1,1"}, tmp_path)
    assert "BIRDEDGE_ROI" not in file.read_text()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["BIRDEDGE_ROI=0.5,0,1,1"], "does not lie within the frame"),
        (["BIRDEDGE_ZONES=0,0 1,1"], "a zone needs three"),
        (["BIRDEDGE_ROI=0,0,1,1", "BIRDEDGE_ZONES=0,0 1,0 1,1"], "cannot be had with"),
    ],
)
def test_where_not_to_look_is_refused_before_it_is_installed(
    settings: list[str], told: str
) -> None:
    given = [word for setting in settings for word in ("--set", setting)]
    done = CliRunner().invoke(command, ["install", "--camera", "usb:0", *given])
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.split())


def test_install_writes_unit_and_secret_settings_and_keeps_older_ones(tmp_path: Path) -> None:
    secret = 'mqtt://me:p"\\$@broker'
    install("usb:0", {"BIRDEDGE_MQTT": secret}, tmp_path)
    file = tmp_path / "etc" / "birdedge" / "birdedge.env"
    with file.open("a") as by_hand:
        by_hand.write("# mine\nBIRDEDGE_THREADS=2")
    install("rtsp://me:secret@camera/live", {"BIRDEDGE_LATITUDE": "42"}, tmp_path)

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == (
        settings({"BIRDEDGE_MQTT": secret})
        + "# mine\nBIRDEDGE_THREADS=2\n"
        + settings({
            "BIRDEDGE_CAMERA": "rtsp://me:secret@camera/live", "BIRDEDGE_LATITUDE": "42"
        })
    )  # fmt: skip
    assert (tmp_path / "etc/systemd/system/birdedge.service").read_text() == unit()
    assert [path.name for path in file.parent.iterdir()] == ["birdedge.env"]


def test_where_there_is_no_systemd_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServiceError, match="no systemd here"):
        service.status()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--camera", "99x"], "names no camera"),
        (["--camera", "dir:."], "what happens now"),
        (["--camera", "feeder.mp4"], "what happens now"),
        (["--camera", "0", "--set", "BIRDEDGE_MQTT"], "is not NAME=VALUE"),
        (["--camera", "0", "--set", "BIRDEDGE_MQT=x"], "is it BIRDEDGE_MQTT?"),
        (["--camera", "0", "--set", "BIRDEDGE_COLOUR=x"], "is no setting of a service"),
        ([], "--camera"),
    ],
)
def test_wrong_usage_writes_nothing(birdedge: Birdedge, arguments: list[str], told: str) -> None:
    done = birdedge("service", "install", *arguments)

    assert done.returncode == 2
    assert told in done.stderr


def test_systemd_is_told_of_frames_that_were_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(Supervisor, "alive", lambda _, status: told.append(status))
    pixels = np.zeros((2, 2, 3), np.uint8)
    moments = [
        *(Frame(pixels, datetime.now(UTC), "garden", number, number / 10) for number in (0, 1, 7)),
        Lost(1.0),
    ]

    assert [*watch._supervised(moments, lambda: 2)] == moments
    assert told[1:] == [
        "2 visits, 2 frames",
        "2 visits, 3 frames, 5 left out",
        "the camera is lost; 2 visits, 3 frames, 5 left out",
    ]


def test_systemd_is_told_each_second_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        supervisor = Supervisor()
        for number in range(1000):
            supervisor.alive(f"{number} visits")
        supervisor.stopping()

        assert systemd.recv(1000) == b"READY=1\nWATCHDOG=1\nSTATUS=0 visits"
        assert systemd.recv(1000) == b"STOPPING=1"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Supervisor().alive("")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    Supervisor().alive("")
    assert os.environ["NOTIFY_SOCKET"]
