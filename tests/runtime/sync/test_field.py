"""The whole way with real processes: publisher, web server, devices, the service that watches."""

import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer

import pytest
from cameras.mjpeg import MjpegCamera
from PIL import Image
from publisher import Device, Publisher, renamed, spoiled
from servers.web import WebServer

from birdedge.compress.publish.publish import withdraw
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.health import Health, write_health
from birdedge.runtime.installed import INSIDE, Installed

Birdedge = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_two_devices_on_two_channels_end_on_the_right_model_without_a_human(
    birdedge: Birdedge,
    tmp_path: Path,
    bundle: ModelBundle,
    make_bundle: Callable[..., ModelBundle],
) -> None:
    """Three releases, the second of which is bad: wrong on one device, too slow on the other."""
    publisher = Publisher(tmp_path / "publisher", channels=("stable", "beta"))
    budget = {"slowdown": 3.0}
    garden = {channel: tmp_path / f"garden-{channel}" for channel in ("stable", "beta")}

    with WebServer(publisher.folder) as web:

        def sync(channel: str) -> subprocess.CompletedProcess[str]:
            """What the timer does."""
            return birdedge(
                "sync", web.url, "--channel", channel, "--root", publisher.root, "--json",
                env={"BIRDEDGE_MODELS": str(garden[channel])},
            )  # fmt: skip

        def in_use(channel: str) -> str:
            lines = birdedge(
                "models", "list", "--json", env={"BIRDEDGE_MODELS": str(garden[channel])}
            ).stdout.splitlines()
            return next(model["id"] for model in map(json.loads, lines) if model["in_use"])

        first = renamed(bundle, tmp_path / "first", "release-1")
        for channel in garden:
            # Against the model inside, a large one, anything is fast.
            publisher.publish(first, channel, budget=budget)
            assert json.loads(sync(channel).stdout)["state"] == "updated"
            assert in_use(channel) == "release-1"

        wrong = spoiled(renamed(bundle, tmp_path / "wrong", "release-2"))
        slow = renamed(make_bundle(heavy=40), tmp_path / "slow", "release-2")
        publisher.publish(wrong, "stable", budget=budget)
        publisher.publish(slow, "beta", budget=budget)
        refusals = {channel: sync(channel) for channel in garden}
        assert [done.returncode for done in refusals.values()] == [1, 1]
        assert "release-2 is not taken: its self-test failed: " in refusals["stable"].stderr
        assert "release-2 is not taken: too slow here: " in refusals["beta"].stderr
        # The slow one may have met a busy machine, twice; then neither is asked for any more.
        assert [sync("beta").returncode for _ in range(2)] == [1, 1]
        for channel in garden:
            assert "release-1 stays in use" in refusals[channel].stderr
            assert in_use(channel) == "release-1"
            assert json.loads(sync(channel).stdout)["state"] == "current"

        third = renamed(bundle, tmp_path / "third", "release-3")
        for channel in garden:
            publisher.publish(third, channel, budget=budget)
            assert json.loads(sync(channel).stdout)["state"] == "updated"
            assert in_use(channel) == "release-3"


@pytest.fixture
def device(tmp_path: Path, bundle: ModelBundle, publisher: Publisher) -> Device:
    """A device that went from garden-1 to garden-2, and watches over that now."""
    device = Device(tmp_path / "models", str(publisher.folder), publisher.root)
    for name in ("garden-1", "garden-2"):
        publisher.publish(renamed(bundle, tmp_path / name, name))
        device.sync()
    return device


@pytest.fixture
def camera(mjpeg: Callable[..., MjpegCamera]) -> MjpegCamera:
    return mjpeg()


@pytest.fixture
def service(
    environment: dict[str, str], tmp_path: Path, camera: MjpegCamera, device: Device
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start `birdedge classify` before a camera, as systemd does."""
    started = []

    def start() -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "birdedge", "classify", "--store", "store"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
                env=environment | {
                    "BIRDEDGE_CAMERA": camera.url,
                    "BIRDEDGE_MODELS": str(device.installed.folder),
                },
            )
        )  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def restless() -> bytes:
    """A red bird that flies to and fro all day."""
    picture = Image.new("RGB", (320, 240), "gray")
    left = int(120 + 100 * math.sin(2 * time.monotonic()))
    picture.paste("#d01010", (left, 80, left + 80, 160))
    content = io.BytesIO()
    picture.save(content, "jpeg")
    return content.getvalue()


def until(happens: Callable[[], bool], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_service_that_dies_with_a_new_model_again_and_again_gets_the_one_before(
    service: Callable[[], subprocess.Popen[str]], device: Device
) -> None:
    for died in range(3):
        process = service()
        until(lambda died=died: device.installed.state().trial.starts == died + 1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert device.model == "garden-2"

    told = putting_back(service())

    assert "garden-2 is put back (the service failed 3 times with it); garden-1 is in use" in told
    assert device.model == "garden-1"
    assert device.sync().state == "current"


@pytest.mark.slow
def test_a_running_service_puts_a_model_back_that_is_never_sure_and_goes_on_with_the_one_before(
    service: Callable[[], subprocess.Popen[str]], device: Device
) -> None:
    seen(device.installed, "garden-1", 0.95)
    seen(device.installed, "garden-2", 0.15)

    process = service()
    until(lambda: device.model == "garden-1")
    time.sleep(3.0)
    process.terminate()
    _, told = process.communicate(timeout=20)

    assert process.returncode == 0
    lines = told.splitlines()
    put_back = next(number for number, line in enumerate(lines) if "is put back" in line)
    assert "population stability index" in lines[put_back]
    assert "birdedge: garden-1 names the birds from now on" in lines[put_back:]
    assert device.sync().state == "current"


@pytest.mark.slow
def test_a_running_service_puts_a_model_back_that_is_slower_than_its_trial_promised(
    service: Callable[[], subprocess.Popen[str]], device: Device, camera: MjpegCamera
) -> None:
    camera.sees = restless
    with device.installed.changing() as state:
        assert state.trial is not None
        state.trial.latency = 1e-6

    told = putting_back(service())

    assert re.search(r"garden-2 is put back \(too slow: \d+ ms .*; garden-1 is in use", told)
    assert device.model == "garden-1"
    assert device.sync().state == "current"


def putting_back(service: subprocess.Popen[str]) -> str:
    """Wait for what the service says as it puts a model back, and stop it."""
    assert service.stderr is not None
    too_late = Timer(60.0, service.kill)
    too_late.start()
    told = ""
    try:
        for line in service.stderr:
            told += line
            if "is put back" in line:
                return line
    finally:
        too_late.cancel()
        service.terminate()
        service.communicate(timeout=20)
    raise AssertionError(f"no model is put back: {told}")


def seen(installed: Installed, name: str, probability: float) -> None:
    """Have a model's health say how sure it was of the last hundred visits."""
    health = Health(digest=installed.find(name).digest)
    for _ in range(100):
        health.saw(probability)
    write_health(installed.folder, health)


@pytest.mark.slow
def test_a_running_service_takes_a_new_model_over_and_counts_what_it_does(
    service: Callable[[], subprocess.Popen[str]],
    device: Device,
    publisher: Publisher,
    bundle: ModelBundle,
    tmp_path: Path,
) -> None:
    process = service()
    until(lambda: device.installed.state().trial.starts == 1)
    publisher.publish(renamed(bundle, tmp_path / "garden-3", "garden-3"))
    device.sync()
    time.sleep(4.0)
    process.terminate()
    _, told = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "birdedge: garden-3 names the birds from now on" in told.splitlines()
    files = {path.name for path in device.installed.folder.glob("health-*.json")}
    assert {f"health-{device.installed.find(name).digest[:12]}.json" for name in
            ("garden-2", "garden-3")} <= files  # fmt: skip
    assert [model.name == INSIDE for model in device.installed.models()] == [True, False, False]


@pytest.mark.slow
def test_a_running_service_goes_on_with_the_model_inside_when_all_others_are_withdrawn(
    service: Callable[[], subprocess.Popen[str]], device: Device, publisher: Publisher
) -> None:
    process = service()
    until(lambda: device.installed.state().trial.starts == 1)
    for name in ("garden-1", "garden-2"):
        withdraw(publisher.repository(), "stable", name)
    inside = device.sync().model
    time.sleep(4.0)
    process.terminate()
    _, told = process.communicate(timeout=20)

    assert process.returncode == 0
    assert device.installed.current().name == INSIDE
    assert f"birdedge: {inside} names the birds from now on" in told.splitlines()
