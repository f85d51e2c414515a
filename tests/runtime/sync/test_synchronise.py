"""A device follows a channel: what is new comes and takes over, or all stays."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from publisher import Device, Publisher
from servers.web import WebServer

from birdedge.runtime import golden
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import SyncError
from birdedge.runtime.installed import INSIDE
from birdedge.runtime.sync import install, synchronise

Version = Callable[..., ModelBundle]


def test_a_new_model_takes_the_place_of_the_one_inside(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))

    outcome = device.sync()

    assert (outcome.state, outcome.model) == ("updated", "garden-1")
    used = ModelBundle.load(device.installed.current().folder)
    assert used.manifest.id == "garden-1"
    assert golden.self_test(used, "onnx-fp32", 1).passed


def test_where_nothing_is_new_two_requests_and_less_than_five_kilobytes_are_enough(
    publisher: Publisher, device: Device, version: Version, web: WebServer
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    web.requests.clear()
    before = web.bytes_sent

    outcome = device.sync()

    assert outcome.state == "current"
    assert len(web.requests) == 2
    assert web.bytes_sent - before < 5000


def test_the_last_two_models_are_kept(
    publisher: Publisher, device: Device, version: Version
) -> None:
    for name in ("garden-1", "garden-2", "garden-3"):
        publisher.publish(version(name))
        device.sync()

    kept = [model.model for model in device.installed.models() if model.name != INSIDE]
    assert kept == ["garden-2", "garden-3"]
    assert device.installed.state().previous is not None
    bad = device.installed.current().digest
    assert device.installed.roll_back(bad, "no good").model == "garden-2"
    assert device.sync().state == "current"
    assert device.model == "garden-2"


def test_a_model_for_some_devices_reaches_just_these(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("old"))
    publisher.publish(version("needs-later"), min_version="2.0")
    publisher.publish(version("elsewhere"), regions=("NZ",))
    publisher.publish(version("for-nobody"), percent=0)

    assert device.sync(version="1.9", region="US-NY").model == "old"
    assert device.sync(version="2.0", region="US-NY").model == "needs-later"
    assert device.sync(version="1.9", region="NZ-AUK").model == "elsewhere"


def test_a_channel_with_nothing_for_this_device_leaves_the_model_inside(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("for-nobody"), percent=0)

    assert device.sync().state == "waiting"
    assert device.installed.current().name == INSIDE


def test_a_pinned_model_stays(publisher: Publisher, device: Device, version: Version) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    with device.installed.changing() as state:
        state.pinned = True
    publisher.publish(version("garden-2"))

    assert device.sync().state == "pinned"
    assert device.model == "garden-1"


def test_a_word_that_is_said_during_a_download_counts(
    publisher: Publisher, device: Device, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    publisher.publish(version("garden-2"))
    try_out = install.try_out

    def pinned_meanwhile(*arguments: Any) -> Any:
        with device.installed.changing() as state:
            state.pinned = True
        return try_out(*arguments)

    monkeypatch.setattr(install, "try_out", pinned_meanwhile)

    assert device.sync().state == "pinned"
    assert device.model == "garden-1"


def test_a_publishers_wrong_clock_is_not_the_devices_fault(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"), published=datetime.now(UTC) + timedelta(days=40))

    assert device.sync().model == "garden-1"


def test_the_first_time_somebody_has_to_be_trusted(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    root, device.root = device.root, None

    with pytest.raises(SyncError, match="nothing is trusted yet: --root"):
        device.sync()
    device.root = root
    device.sync()
    device.root = None
    assert device.sync().state == "current"
    # A power cut left the newest root empty.
    history = device.installed.folder / "sync" / "root_history"
    (history / "2.root.json").write_bytes(b"")
    assert device.sync().state == "current"


def test_two_syncs_at_once_are_one(publisher: Publisher, device: Device, version: Version) -> None:
    publisher.publish(version("garden-1"))
    with (
        synchronise._alone(device.installed),
        pytest.raises(SyncError, match="another sync is under way"),
    ):
        device.sync()


def test_an_earlier_clock_than_has_been_is_wrong(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    with device.installed.changing() as state:
        state.latest = datetime.now(UTC) + timedelta(days=365)

    with pytest.raises(SyncError, match=r"clock: this machine's says .*, but it is "):
        device.sync()
