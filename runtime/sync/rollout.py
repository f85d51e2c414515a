"""Which of a channel's releases is meant for this device."""

import hashlib
from collections.abc import Container
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from .release import Channel, Release

_SHARES = 10_000


@dataclass(frozen=True)
class Device:
    """One device, as far as releases tell devices apart.

    Attributes:
        id: drawn by lot when it synchronised first; says nothing of machine or owner.
        version: of its birdedge.
        region: where its birds live, such as ``US-NY``; unknown if empty.
    """

    id: str
    version: str
    region: str = ""


def choose_release(channel: Channel, device: Device, blocked: Container[str]) -> Release | None:
    """The newest release that is meant for a device and not blocked there, if any."""
    return next(
        (
            release
            for release in channel.releases
            if release.manifest.sha256 not in blocked and not why_not(release, device)
        ),
        None,
    )


def why_not(release: Release, device: Device) -> str:
    """Why a release is not meant for a device; empty if it is."""
    try:
        too_old = Version(device.version) < Version(release.min_version)
    except InvalidVersion:
        return f"it asks for birdedge {release.min_version!r}, which is no version"
    if too_old:
        return f"it needs birdedge {release.min_version}, this is {device.version}"
    if release.regions and not any(_lies_in(device.region, region) for region in release.regions):
        where = device.region or "a region that nobody has named"
        return f"it is for {', '.join(release.regions)}, this device is in {where}"
    if share_of(device.id, release) >= release.percent:
        return f"it is rolled out to {release.percent:g} % of the devices, and not to this one yet"
    return ""


def share_of(device_id: str, release: Release) -> float:
    """Where a device stands among all, from 0 to 100: it takes a release of a larger percentage.

    Each release draws anew, so that not always the same devices go first; while a percentage grows,
    who has the release keeps it.
    """
    drawn = hashlib.sha256(f"{device_id} {release.manifest.sha256}".encode()).digest()
    return int.from_bytes(drawn[:8], "big") % _SHARES * 100 / _SHARES


def _lies_in(region: str, larger: str) -> bool:
    return region == larger or region.startswith(f"{larger}-")
