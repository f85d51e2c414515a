"""Picture files: single ones, folders, globs, addresses and standard input."""

import glob
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PIL import Image

from ..errors import ImageError, SourceError
from ..preprocess import read_image
from . import Picture

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif"}
)
DOWNLOAD_SECONDS = 30.0
DOWNLOAD_BYTES = 64 * 2**20
_CHUNK = 2**16


def pictures_in_folder(folder: Path) -> Iterator[Picture]:
    """Every picture file below a folder, by name.

    Raises:
        SourceError: there is none.
    """
    found = False
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in PICTURE_SUFFIXES:
                found = True
                yield picture_file(Path(place, name))
    if not found:
        raise SourceError(f"{folder}: no pictures in this folder")


def pictures_by_glob(pattern: str) -> list[Path]:
    """Files that a pattern such as ``photos/**/*.jpg`` names, sorted."""
    return [Path(path) for path in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 - absolute patterns too


def picture_file(path: Path) -> Picture:
    """One picture file, not opened yet."""
    return Picture(str(path), partial(read_image, path))


def picture_on_stdin() -> Picture:
    """The picture whose bytes come on standard input."""
    return Picture("-", lambda: read_image(sys.stdin.buffer.read(DOWNLOAD_BYTES + 1)))


def picture_at(url: str, seconds: float = DOWNLOAD_SECONDS) -> Picture:
    """The picture at an ``http`` or ``https`` address, not fetched yet."""
    return Picture(url, partial(_fetch_image, url, seconds))


def _fetch_image(url: str, seconds: float) -> Image.Image:
    try:
        return read_image(download(url, seconds))
    except ImageError as error:
        raise ImageError(f"{url}: {str(error).removeprefix('picture: ')}") from error


def download(url: str, seconds: float, max_bytes: int = DOWNLOAD_BYTES) -> bytes:
    """Fetch an address, within a time and a size.

    Raises:
        ImageError: the server cannot be reached, refuses, is too slow, or sends too much.
    """
    deadline = time.monotonic() + seconds
    content = bytearray()
    request = urllib.request.Request(url, headers={"User-Agent": "birdedge"})
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            # The time-out of the socket alone would let a server drip a byte a second for ever.
            while chunk := answer.read1(_CHUNK):
                content += chunk
                if len(content) > max_bytes:
                    raise ImageError(f"{url}: larger than {max_bytes / 2**20:.0f} MB")
                if time.monotonic() > deadline:
                    raise TimeoutError
    except TimeoutError as error:
        raise ImageError(f"{url}: no whole answer within {seconds:g} s") from error
    except urllib.error.HTTPError as error:
        raise ImageError(f"{url}: the server says {error.code} {error.reason}") from error
    # A server that does not speak HTTP, or falls silent within a line, raises HTTPException.
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise ImageError(f"{url}: no whole answer within {seconds:g} s") from error
        raise ImageError(f"{url}: cannot be fetched ({reason})") from error
    return bytes(content)
