"""Which bundles lie in some folders."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .bundle import MANIFEST, read_manifest
from .default import DEFAULT_MODEL
from .errors import BundleError
from .manifest import Manifest


@dataclass(frozen=True)
class Found:
    """A folder with a manifest.

    Attributes:
        folder: where it lies.
        manifest: what it says; None where it cannot be read.
        problem: why it cannot.
    """

    folder: Path
    manifest: Manifest | None
    problem: str = ""


def find_bundles(folders: Iterable[Path]) -> list[Found]:
    """The bundle inside birdedge, and those that are, or lie right in, some folders.

    Manifests are read, model files are not: `ModelBundle.load` checks those.

    Raises:
        BundleError: a folder is missing or cannot be listed.
    """
    places = {DEFAULT_MODEL.resolve(): DEFAULT_MODEL}
    for folder in folders:
        try:
            for place in (folder, *sorted(folder.iterdir())):
                if os.access(place, os.X_OK) and (place / MANIFEST).is_file():
                    places.setdefault(place.resolve(), place)
        except OSError as error:
            raise BundleError(f"cannot look into {folder}: {error.strerror}") from error
    return [_read(place) for place in places.values()]


def _read(place: Path) -> Found:
    try:
        return Found(place, read_manifest(place / MANIFEST))
    except BundleError as error:
        return Found(place, None, str(error))
