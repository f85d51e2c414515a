"""A release is withdrawn: devices leave it by themselves."""

import shutil
from collections.abc import Callable
from pathlib import Path

from publisher import Device, Publisher

from birdedge.compress.publish.publish import withdraw
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.installed import INSIDE

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


def test_the_only_release_gives_way_to_the_model_inside(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    take_back(publisher, "garden-1")

    outcome = device.sync()

    assert outcome.state == "updated"
    assert outcome.detail.startswith("garden-1 was withdrawn from stable")
    assert outcome.detail.endswith(f"{outcome.model} is in use again")
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

    assert (outcome.state, outcome.model) == ("pinned", "garden-1")
    assert outcome.detail.endswith("but was put here by hand")


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
    take_back(publisher, "garden-1")

    outcome = device.sync()

    assert (outcome.state, outcome.model) == ("pinned", "garden-1")
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


def test_a_release_that_a_full_channel_has_forgotten_was_not_withdrawn(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    for number in range(5):
        publisher.publish(version(f"kiwi-{number}"), regions=("NZ",))

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
