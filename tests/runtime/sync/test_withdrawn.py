"""A release is withdrawn: devices leave it by themselves."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from publisher import Device, Publisher

from birdedge.compress.publish.publish import withdraw
from birdedge.compress.publish.storage import PublishError
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.default import DEFAULT_MODEL
from birdedge.runtime.errors import SyncError
from birdedge.runtime.installed import INSIDE, Installed

Version = Callable[..., ModelBundle]


def take_back(publisher: Publisher, name: str) -> None:
    withdraw(publisher.repository(), "stable", name)


def test_the_next_release_that_is_for_a_device_takes_over(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    publisher.publish(version("garden-2"))
    assert device.sync().model == "garden-2"

    take_back(publisher, "garden-2")

    assert device.sync().model == "garden-1"


def test_the_release_before_is_not_measured_by_what_was_taken_back(
    publisher: Publisher, device: Device, version: Version
) -> None:
    """That may be faster, or surer, than it ought to be: it may have been taken back for this."""
    first, second = version("garden-1"), version("garden-2")
    for garden in (first, second):
        publisher.publish(garden)
        device.sync()
    publisher.publish(first, budget={"slowdown": 1e-6})
    publisher.publish(second)
    assert device.sync().state == "current"

    take_back(publisher, "garden-2")
    outcome = device.sync()

    assert (outcome.state, outcome.model) == ("updated", "garden-1")
    state = device.installed.state()
    assert (state.previous, state.trial, state.blocked) == (None, None, {})
    assert device.sync().state == "current"


def test_what_was_taken_back_is_left_though_the_next_release_cannot_be_brought(
    publisher: Publisher, device: Device, version: Version
) -> None:
    """It was deleted from this device when the third came, and lies damaged in the repository."""
    for name in ("garden-1", "garden-2", "garden-3"):
        publisher.publish(version(name))
        device.sync()
    for name in ("garden-2", "garden-3"):
        take_back(publisher, name)
    for path in publisher.folder.glob("targets/stable/*.manifest.json"):
        path.write_bytes(b"x" * path.stat().st_size)

    with pytest.raises(SyncError, match="tampered"):
        device.sync()

    assert device.installed.current().name == INSIDE


def test_a_power_cut_on_the_way_back_leaves_a_whole_model_in_use(
    publisher: Publisher, device: Device, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("garden-1", "garden-2"):
        publisher.publish(version(name))
        device.sync()
    take_back(publisher, "garden-2")
    link = Installed._link

    def cut_off(installed: Installed, name: str) -> None:
        link(installed, name)
        raise KeyboardInterrupt

    with monkeypatch.context() as moment, pytest.raises(KeyboardInterrupt):
        moment.setattr(Installed, "_link", cut_off)
        device.sync()

    assert device.model == "garden-1"
    assert device.sync().state == "current"
    assert [model.model for model in device.installed.models()][1:] == ["garden-1"]


def test_nothing_goes_back_to_what_was_taken_back(
    publisher: Publisher, device: Device, version: Version
) -> None:
    for name in ("garden-1", "garden-2"):
        publisher.publish(version(name))
        device.sync()
    take_back(publisher, "garden-1")
    assert device.sync().state == "current"

    bad = device.installed.current()

    assert device.installed.roll_back(bad.digest, "it sees jays everywhere").name == INSIDE
    assert [model.name for model in device.installed.to_try()] == [INSIDE]


def test_the_model_inside_stays_though_it_was_published_and_taken_back(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("kiwi-1"), regions=("NZ",))
    publisher.publish(ModelBundle.load(DEFAULT_MODEL))
    assert device.sync().state == "current"
    take_back(publisher, device.model)

    assert device.sync().state == "waiting"
    assert device.installed.current().name == INSIDE


def test_a_release_that_newer_ones_pushed_out_stays_until_it_is_withdrawn_by_its_digest(
    publisher: Publisher, device: Device, version: Version
) -> None:
    published = publisher.publish(version("garden-1"))
    device.sync()
    for number in range(5):
        publisher.publish(version(f"kiwi-{number}"), regions=("NZ",))
    outcome = device.sync()
    assert (outcome.state, outcome.model) == ("waiting", "garden-1")
    with pytest.raises(PublishError, match="'garden-1' is not one of stable's releases"):
        take_back(publisher, "garden-1")

    take_back(publisher, published.release.manifest.sha256)

    assert device.sync().state == "updated"
    assert device.installed.current().name == INSIDE


def test_the_only_release_gives_way_to_the_model_inside(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    take_back(publisher, "garden-1")

    outcome = device.sync()

    assert outcome.state == "updated"
    assert outcome.detail == (
        f"garden-1 was withdrawn from stable; {outcome.model} is in use again"
    )
    assert device.installed.current().name == INSIDE
    state = device.installed.state()
    assert (state.previous, state.trial, state.blocked) == (None, None, {})
    assert device.sync().state == "waiting"
    assert [model.name for model in device.installed.models()] == [INSIDE]


def test_a_model_that_somebody_put_there_stays_though_it_was_withdrawn(
    publisher: Publisher, device: Device, version: Version
) -> None:
    garden = version("garden-1")
    shutil.copytree(garden.folder, device.installed.folder / "mine")
    device.installed.use("mine")
    publisher.publish(garden)
    take_back(publisher, "garden-1")

    outcome = device.sync()

    assert (outcome.state, outcome.model) == ("withdrawn", "garden-1")
    assert outcome.detail.endswith("but is none that sync brought")


def test_what_was_withdrawn_can_be_published_again(
    publisher: Publisher, device: Device, version: Version
) -> None:
    garden = version("garden-1")
    publisher.publish(garden)
    device.sync()
    take_back(publisher, "garden-1")
    device.sync()

    publisher.publish(garden)

    assert device.sync().model == "garden-1"


def test_the_model_before_takes_over_if_nobody_took_it_back(
    publisher: Publisher, device: Device, version: Version
) -> None:
    old = version("garden-1")
    publisher.publish(old)
    device.sync()
    publisher.publish(version("garden-2"))
    device.sync()
    # The one before is for others now.
    publisher.publish(old, regions=("NZ",))
    take_back(publisher, "garden-2")

    assert device.sync().model == "garden-1"
    assert device.sync().state == "waiting"
    assert device.model == "garden-1"


def test_the_model_before_stays_away_if_it_was_withdrawn_too(
    publisher: Publisher, device: Device, version: Version
) -> None:
    for name in ("garden-1", "garden-2"):
        publisher.publish(version(name))
        device.sync()
    for name in ("garden-1", "garden-2"):
        take_back(publisher, name)

    device.sync()

    assert device.installed.current().name == INSIDE


def test_a_model_that_somebody_put_there_takes_over_again(
    publisher: Publisher, device: Device, version: Version
) -> None:
    shutil.copytree(version("own").folder, device.installed.folder / "own")
    device.installed.use("own")
    publisher.publish(version("garden-1"))
    device.sync()
    take_back(publisher, "garden-1")

    assert device.sync().model == "own"
    # Sync has not brought it, and does not take it away.
    assert device.sync().state == "waiting"
    assert device.model == "own"


def test_a_pinned_model_stays_though_it_was_withdrawn(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    with device.installed.changing() as state:
        state.pinned = True
    publisher.publish(version("garden-0"))
    assert device.sync().state == "pinned"
    take_back(publisher, "garden-1")

    with_another = device.sync()
    take_back(publisher, "garden-0")
    without = device.sync()

    for outcome in (with_another, without):
        assert (outcome.state, outcome.model) == ("withdrawn", "garden-1")
        assert outcome.detail == "garden-1 was withdrawn from stable, but is pinned"


def test_a_release_that_is_for_others_now_stays_where_it_is(
    publisher: Publisher, device: Device, version: Version
) -> None:
    garden = version("garden-1")
    publisher.publish(garden)
    device.sync()
    for others in ({"percent": 0}, {"regions": ("NZ",)}, {"min_version": "9"}):
        publisher.publish(garden, **others)

        assert device.sync().state == "waiting"
        assert device.model == "garden-1"


def test_a_device_that_follows_another_channel_now_keeps_what_it_has(
    tmp_path: Path, version: Version
) -> None:
    publisher = Publisher(tmp_path / "two", channels=("stable", "beta"))
    device = Device(tmp_path / "device", str(publisher.folder), publisher.root)
    publisher.publish(version("garden-1"))
    device.sync()
    publisher.publish(version("kiwi-1"), "beta", regions=("NZ",))
    device.channel = "beta"

    assert device.sync().state == "waiting"
    assert device.model == "garden-1"


def test_a_device_that_was_away_hears_of_it_after_later_releases_for_others(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    take_back(publisher, "garden-1")
    for number in range(6):
        publisher.publish(version(f"kiwi-{number}"), regions=("NZ",))
    take_back(publisher, "kiwi-5")

    assert device.sync().state == "updated"
    assert device.installed.current().name == INSIDE
