"""Picture files: single ones, folders, addresses and standard input."""

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
from . import Picture, unreadable

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif"}
)
_DOWNLOAD_SECONDS = 30.0
_STDIN_BYTES = 64 * 2**20

SPECIAL = "a pipe, socket or device, which is read only where it is named itself"


def pictures_in_folder(folder: Path) -> Iterator[Picture]:
    """Every picture file below a folder, by name; a folder that may not be read is reported.

    What is hidden is passed over, as patterns do: macOS puts a ``._robin.jpg`` beside each
    ``robin.jpg``, with no picture in it.

    Raises:
        SourceError: there is none.
    """
    found = False
    closed: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=closed.append):
        yield from _refused(closed)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(files):
            if not is_hidden(name) and Path(name).suffix.lower() in PICTURE_SUFFIXES:
                found = True
                yield _found_file(Path(place, name))
    found = found or bool(closed)
    yield from _refused(closed)
    if not found:
        raise SourceError(f"{folder}: no pictures in this folder")


def is_hidden(name: str) -> bool:
    """Whether a program left a file or folder for itself."""
    return name.startswith(".")


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
