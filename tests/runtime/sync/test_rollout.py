"""Whom a release is for."""

from datetime import UTC, datetime

import pytest

from birdedge.runtime.manifest import FileEntry
from birdedge.runtime.sync.release import Channel, Release
from birdedge.runtime.sync.rollout import Device, choose_release, share_of, why_not


def release(digit: str = "a", **conditions: object) -> Release:
    manifest = FileEntry(name="manifest.json", sha256=digit * 64, bytes=1)
    now = datetime.now(UTC)
    return Release(model=f"garden-{digit}", manifest=manifest, published=now, **conditions)


def device(number: int = 0, version: str = "1.0", region: str = "") -> Device:
    return Device(f"device-{number}", version, region)


def test_a_percentage_of_the_devices_is_that_percentage() -> None:
    taken = sum(not why_not(release(percent=20), device(number)) for number in range(5000))

    assert 900 < taken < 1100


def test_who_has_a_release_keeps_it_while_its_percentage_grows() -> None:
    few, many = release(percent=10), release(percent=30)

    for number in range(500):
        if not why_not(few, device(number)):
            assert not why_not(many, device(number))


def test_not_always_the_same_devices_go_first() -> None:
    first = {n for n in range(1000) if not why_not(release("a", percent=10), device(n))}
    then = {n for n in range(1000) if not why_not(release("b", percent=10), device(n))}

    assert len(first & then) < 40


def test_none_and_all_are_just_that() -> None:
    assert all(why_not(release(percent=0), device(number)) for number in range(200))
    assert not any(why_not(release(percent=100), device(number)) for number in range(200))
    assert all(0 <= share_of(f"device-{n}", release()) < 100 for n in range(200))


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("1.10", "1.9", True),
        ("1.9", "1.10", False),
        ("2.0.dev1", "2.0", False),
        ("1.0", "x", False),
    ],
)
def test_versions_are_compared_as_versions(version: str, wanted: str, fits: bool) -> None:
    assert (why_not(release(min_version=wanted), device(version=version)) == "") is fits


@pytest.mark.parametrize(
    ("region", "regions", "fits"),
    [
        ("US-NY", ("US",), True), ("US-NY", ("US-NY",), True), ("US", ("US-NY",), False),
        ("USA", ("US",), False), ("", ("US",), False), ("", (), True), ("NZ", ("US", "NZ"), True),
    ],
)  # fmt: skip
def test_a_region_lies_in_a_larger_one(region: str, regions: tuple[str, ...], fits: bool) -> None:
    assert (why_not(release(regions=regions), device(region=region)) == "") is fits


def test_the_newest_that_fits_and_is_not_blocked_is_chosen() -> None:
    newest, middle, oldest = release("c", percent=0), release("b"), release("a")
    channel = Channel(releases=(newest, middle, oldest))

    assert choose_release(channel, device(), ()) == middle
    assert choose_release(channel, device(), {"b" * 64}) == oldest
    assert choose_release(channel, device(), {"a" * 64, "b" * 64}) is None
