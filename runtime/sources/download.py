"""The bytes at an HTTP address, within a time and a size."""

import base64
import http.client
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from ..credentials import without_credentials
from ..errors import ImageError
from .addresses import as_asked
from .waiting import within

T = TypeVar("T")

_MAX_BYTES = 64 * 2**20
_CHUNK = 2**16


def download(url: str, seconds: float, max_bytes: int = _MAX_BYTES) -> bytes:
    """Fetch an address, within a time and a size.

    Args:
        url: may hold a user and a password, for servers that ask for them in the basic way.
        seconds: for the whole answer.
        max_bytes: of it.

    Raises:
        ImageError: the server cannot be reached, refuses, is too slow, or sends too much.
    """
    return _told(url, seconds, partial(_fetch, url, seconds, max_bytes))


def ask(url: str, seconds: float) -> None:
    """See whether a server has something at an address; nothing of it is fetched.

    Args:
        url: as for `download`.
        seconds: for the answer.

    Raises:
        ImageError: it cannot be reached, refuses, or is too slow.
    """
    _told(url, seconds, lambda: urllib.request.urlopen(_request(url), timeout=seconds).close())


def _told(url: str, seconds: float, work: Callable[[], T]) -> T:
    """What a server is asked for, and its errors as ours."""
    name = without_credentials(url)
    # The time-out of a socket begins anew with each byte: a server that drips one a second, in its
    # headers even, is left behind with the thread that listens to it.
    try:
        return within(seconds, work)
    except TimeoutError as error:
        raise ImageError(f"{name}: no whole answer within {seconds:g} s") from error
    except urllib.error.HTTPError as error:
        # Of servers that send one in a circle, urllib says it in three lines.
        said = str(error.reason).partition("\n")[0]
        raise ImageError(f"{name}: the server says {error.code} {said}") from error
    # A server that does not speak HTTP, or falls silent within a line, raises HTTPException.
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise ImageError(f"{name}: no whole answer within {seconds:g} s") from error
        raise ImageError(f"{name}: cannot be fetched ({reason})") from error


def _fetch(url: str, seconds: float, max_bytes: int) -> bytes:
    deadline = time.monotonic() + seconds
    content = bytearray()
    with urllib.request.urlopen(_request(url), timeout=seconds) as answer:
        decoded = _decoder(answer.headers.get("Content-Encoding", ""), max_bytes)
        while chunk := answer.read1(_CHUNK):
            content += decoded(chunk)
            if len(content) > max_bytes:
                raise ImageError(
                    f"{without_credentials(url)}: larger than {max_bytes / 2**20:.0f} MB"
                )
            if time.monotonic() > deadline:
                raise TimeoutError
    return bytes(content)


def _decoder(encoding: str, max_bytes: int) -> Callable[[bytes], bytes]:
    """What undoes a compression: some servers send all alike, though none was asked for."""
    if encoding.lower() in ("", "identity"):
        return bytes
    if encoding.lower() not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"the server compresses it with {encoding!r}, which was not asked for")
    # Finds out itself which of them it is. A few bytes may be gigabytes, decompressed.
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def decompressed(chunk: bytes) -> bytes:
        try:
            return decompressor.decompress(chunk, max_bytes + 1)
        except zlib.error as error:
            raise ValueError(f"what the server compressed is damaged: {error}") from error

    return decompressed


def _request(url: str) -> urllib.request.Request:
    parts = urlsplit(as_asked(url))
    server = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(
        parts._replace(netloc=server).geturl(), headers={"User-Agent": "birdedge"}
    )
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        token = base64.b64encode(pair.encode()).decode()
        # For this server alone, not for one that it redirects to.
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request
