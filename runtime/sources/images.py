"""Picture files: single ones, folders, globs, addresses and standard input."""

import base64
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
from urllib.parse import unquote, urlsplit

from PIL import Image

from ..errors import ImageError, SourceError
from ..preprocess import read_image
from . import Picture, unreadable, without_credentials

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif"}
)
DOWNLOAD_SECONDS = 30.0
DOWNLOAD_BYTES = 64 * 2**20
_CHUNK = 2**16


def pictures_in_folder(folder: Path) -> Iterator[Picture]:
    """Every picture file below a folder, by name; a folder that may not be read is reported.

    Raises:
        SourceError: there is none.
    """
    found = False
    closed: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=closed.append):
        yield from _refused(closed)
        folders.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() in PICTURE_SUFFIXES:
                found = True
                yield picture_file(Path(place, name))
    found = found or bool(closed)
    yield from _refused(closed)
    if not found:
        raise SourceError(f"{folder}: no pictures in this folder")


def _refused(errors: list[OSError]) -> Iterator[Picture]:
    while errors:
        error = errors.pop(0)
        yield unreadable(str(error.filename), f"{error.filename}: {error.strerror}")


def files_by_glob(pattern: str) -> list[str]:
    """What a pattern such as ``photos/**/*.jpg`` names, sorted.

    Of a folder and what lies in it only the folder is named; the pattern itself if nothing is.
    """
    named = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns too
    folders = {Path(name) for name in named if Path(name).is_dir()}
    return [name for name in named if not folders.intersection(Path(name).parents)] or [pattern]


def picture_file(path: Path) -> Picture:
    """One picture file, not opened yet."""
    return Picture(str(path), partial(read_image, path))


def picture_on_stdin() -> Picture:
    """The picture whose bytes come on standard input."""
    return Picture("-", lambda: _decode("-", sys.stdin.buffer.read(DOWNLOAD_BYTES + 1)))


def picture_at(url: str, seconds: float = DOWNLOAD_SECONDS) -> Picture:
    """The picture at an ``http`` or ``https`` address, not fetched yet."""
    return Picture(without_credentials(url), partial(_fetch_image, url, seconds))


def _fetch_image(url: str, seconds: float) -> Image.Image:
    return _decode(without_credentials(url), download(url, seconds))


def _decode(name: str, content: bytes) -> Image.Image:
    try:
        return read_image(content)
    except ImageError as error:
        raise ImageError(f"{name}: {str(error).removeprefix('picture: ')}") from error


def download(url: str, seconds: float, max_bytes: int = DOWNLOAD_BYTES) -> bytes:
    """Fetch an address, within a time and a size.

    Args:
        url: may hold a user and a password, for servers that ask for them in the basic way.
        seconds: for the whole answer.
        max_bytes: of it.

    Raises:
        ImageError: the server cannot be reached, refuses, is too slow, or sends too much.
    """
    name = without_credentials(url)
    deadline = time.monotonic() + seconds
    content = bytearray()
    try:
        with urllib.request.urlopen(_request(url), timeout=seconds) as answer:
            # The time-out of the socket alone would let a server drip a byte a second for ever.
            while chunk := answer.read1(_CHUNK):
                content += chunk
                if len(content) > max_bytes:
                    raise ImageError(f"{name}: larger than {max_bytes / 2**20:.0f} MB")
                if time.monotonic() > deadline:
                    raise TimeoutError
    except TimeoutError as error:
        raise ImageError(f"{name}: no whole answer within {seconds:g} s") from error
    except urllib.error.HTTPError as error:
        raise ImageError(f"{name}: the server says {error.code} {error.reason}") from error
    # A server that does not speak HTTP, or falls silent within a line, raises HTTPException.
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise ImageError(f"{name}: no whole answer within {seconds:g} s") from error
        raise ImageError(f"{name}: cannot be fetched ({reason})") from error
    return bytes(content)


def _request(url: str) -> urllib.request.Request:
    request = urllib.request.Request(without_credentials(url), headers={"User-Agent": "birdedge"})
    parts = urlsplit(url)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        token = base64.b64encode(pair.encode()).decode()
        # For this server alone, not for one that it redirects to.
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request
