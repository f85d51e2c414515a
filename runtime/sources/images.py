"""Picture files: single ones, folders, addresses and standard input."""

import logging
import os
import stat
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from ..credentials import without_credentials
from ..errors import ImageError, SourceError
from ..preprocess import read_image
from . import Picture, is_hidden, unreadable

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif"}
)
_CAMCORDER_SUFFIXES = frozenset({".mts", ".m2ts", ".3gp", ".wmv", ".asf"})
VIDEO_SUFFIXES = _CAMCORDER_SUFFIXES | {
    ".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"
}  # fmt: skip

_FOREIGN_SUFFIXES = frozenset(
    {".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"}
)
"""Of photos that Pillow does not read by itself: phones' and cameras' own."""

_DOWNLOAD_SECONDS = 30.0
_STDIN_BYTES = 64 * 2**20

SPECIAL = "a pipe, socket or device, which is read only where it is named itself"

_log = logging.getLogger(__name__)


def pictures_in_folder(folder: Path) -> Iterator[Picture]:
    """Every picture file below a folder, by name; a folder that may not be read is reported.

    What is hidden is passed over, as patterns do: macOS puts a ``._robin.jpg`` beside each
    ``robin.jpg``, with no picture in it. So are videos, which have no end that can be seen ahead,
    and photos of kinds that are not read; how many is logged at the end.

    Raises:
        SourceError: there is none.
    """
    found = False
    passed: dict[str, int] = {}
    closed: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=closed.append):
        yield from _refused(closed)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(files):
            suffix = Path(name).suffix.lower()
            if is_hidden(name):
                continue
            if suffix in PICTURE_SUFFIXES:
                found = True
                yield _found_file(Path(place, name))
            elif suffix in VIDEO_SUFFIXES or suffix in _FOREIGN_SUFFIXES:
                passed[suffix] = passed.get(suffix, 0) + 1
    found = found or bool(closed)
    yield from _refused(closed)
    told = _passed_over(passed)
    if not found:
        raise SourceError(f"{folder}: no pictures in this folder{told and f'; {told}'}")
    if told:
        _log.warning("%s: %s", folder, told)


def _passed_over(counts: dict[str, int]) -> str:
    """What is to be told of files beside pictures, counted by their suffixes."""
    videos = sum(count for suffix, count in counts.items() if suffix in VIDEO_SUFFIXES)
    foreign = [f"{counts[suffix]:,} {suffix}" for suffix in sorted(counts.keys() - VIDEO_SUFFIXES)]
    told = []
    if videos:
        kind = "video" if videos == 1 else "videos"
        told.append(f"{videos:,} {kind} passed over (name them to have their frames classified)")
    if foreign:
        kinds = " and ".join(foreign)
        told.append(f"{kinds} passed over (birdedge cannot read them; convert them to JPEG)")
    return ", ".join(told)


def _refused(errors: list[OSError]) -> Iterator[Picture]:
    while errors:
        error = errors.pop(0)
        yield unreadable(str(error.filename), f"{error.filename}: {error.strerror}")


def picture_file(path: Path) -> Picture:
    """One picture file that somebody named, not opened yet; it may be a pipe."""
    return Picture(str(path), partial(read_image, path))


def is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device: reading it may wait for ever."""
    try:
        mode = path.stat().st_mode
    except OSError:  # reading it says why
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _found_file(path: Path) -> Picture:
    return Picture(str(path), partial(_read_found, path))


def _read_found(path: Path) -> Image.Image:
    if is_special(path):
        raise ImageError(f"{path}: {SPECIAL}")
    return read_image(path)


def picture_on_stdin() -> Picture:
    """The picture whose bytes come on standard input."""
    return Picture("-", _read_stdin)


def picture_at(url: str, seconds: float = _DOWNLOAD_SECONDS) -> Picture:
    """The picture at an ``http`` or ``https`` address, not fetched yet."""
    return Picture(without_credentials(url), partial(_fetch_image, url, seconds))


def _read_stdin() -> Image.Image:
    if sys.stdin is None:
        raise ImageError("-: standard input is closed")
    content = sys.stdin.buffer.read(_STDIN_BYTES + 1)
    if len(content) > _STDIN_BYTES:
        raise ImageError(f"-: larger than {_STDIN_BYTES / 2**20:.0f} MB")
    return _decode("-", content)


def _fetch_image(url: str, seconds: float) -> Image.Image:
    # HTTP takes as long to import as a picture to classify; most need none.
    from .download import download

    return _decode(without_credentials(url), download(url, seconds))


def _decode(name: str, content: bytes) -> Image.Image:
    try:
        return read_image(content)
    except ImageError as error:
        raise ImageError(f"{name}: {str(error).removeprefix('picture: ')}") from error
