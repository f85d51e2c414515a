"""A model that does not do its work on this device is not taken."""

from collections.abc import Callable
from pathlib import Path

import pytest
from publisher import Device, Publisher, renamed, spoiled
from servers.web import WebServer

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import SyncError
from birdedge.runtime.installed import INSIDE

Version = Callable[..., ModelBundle]


def test_a_model_that_fails_its_self_test_here_is_refused_once_and_for_all(
    publisher: Publisher, device: Device, version: Version, web: WebServer
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    publisher.publish(spoiled(version("garden-2")))

    with pytest.raises(SyncError, match=r"garden-2 is not taken: its self-test failed: .* is off"):
        device.sync()

    assert device.model == "garden-1"
    assert [entry.model for entry in device.installed.state().blocked.values()] == ["garden-2"]
    web.requests.clear()
    assert device.sync().state == "current"
    assert len(web.requests) == 2


def test_a_model_that_is_slower_than_it_may_be_is_refused(
    publisher: Publisher,
    device: Device,
    version: Version,
    make_bundle: Callable[..., ModelBundle],
    tmp_path: Path,
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    heavy = renamed(make_bundle(heavy=40), tmp_path / "heavy", "heavy-1")
    publisher.publish(heavy, budget={"slowdown": 2.0})

    for _ in range(3):
        # The machine may just have been busy.
        assert device.installed.state().blocked == {}
        with pytest.raises(SyncError, match=r"heavy-1 is not taken: too slow here: .* times"):
            device.sync()

    assert device.model == "garden-1"
    assert device.sync().state == "current"
    assert [entry.model for entry in device.installed.state().blocked.values()] == ["heavy-1"]


def test_a_model_is_tried_as_the_service_runs_it(
    publisher: Publisher, device: Device, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish(version("garden-1"))
    monkeypatch.setenv("BIRDEDGE_TARGET", "onnx-fp64")

    with pytest.raises(SyncError, match=r"garden-1 is not taken: .* failed: .*'onnx-fp64'"):
        device.sync()


def test_a_setting_that_is_wrong_is_not_held_against_a_model(
    publisher: Publisher, device: Device, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish(version("garden-1"))
    monkeypatch.setenv("BIRDEDGE_THREADS", "257")

    assert device.sync().state == "updated"


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"latency_ms": 0.0001}, "too slow here: .* ms for one picture"),
        ({"memory_mb": 1.0}, "too large here: .* MB, 1 allowed"),
    ],
)
def test_a_model_beyond_its_budget_is_refused(
    publisher: Publisher, device: Device, version: Version, budget: dict[str, float], told: str
) -> None:
    publisher.publish(version("garden-1"), budget=budget)

    with pytest.raises(SyncError, match=told):
        device.sync()

    assert device.installed.current().name == INSIDE
