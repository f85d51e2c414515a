"""Sightings for others: one file per format, found by its entry point in `birdedge.exports`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .. import Sighting

GROUP = "birdedge.exports"

_NETWORK = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https")
"""Schemes of addresses, also of those that lack their slashes."""


@dataclass(frozen=True)
class Site:
    """Where the camera stands, as far as a format wants to know.

    Attributes:
        name: of the place.
        latitude: in degrees, WGS 84.
        longitude: the same.
        state: two letters, as in ISO 3166-2 after the country.
        country: two letters of ISO 3166-1.
    """

    name: str = "Garden"
    latitude: float | None = None
    longitude: float | None = None
    state: str = ""
    country: str = ""


def camera_name(source: str) -> str:
    """What a camera is called where anyone may read it: always the same, but no address.

    Some cameras' addresses are all that one needs to look through them.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    if "://" in source or source.partition(":")[0].lower() in _NETWORK:
        return f"camera-{digest}"
    # Trail cameras give the same names to files in many folders.
    return f"{Path(source).name}-{digest}" if "/" in source else source


class Export(Protocol):
    """One format."""

    def __call__(self, sightings: Sequence[Sighting], site: Site, store: Path, out: Path) -> None:
        """Write sightings, oldest first, to a file, or into a folder, that is not there yet.

        Args:
            sightings: which.
            site: where the camera stands.
            store: the folder that their pictures' names begin from.
            out: what is to be written.

        Raises:
            StoreError: the format needs to know more.
            OSError: it cannot be written.
        """
