"""The line to a repository: through the house's proxy, at a bounded speed, never for ever."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from tuf.api.exceptions import DownloadHTTPError, SlowRetrievalError
from urllib3.util import parse_url

from .locations import Location

_CHUNK = 2**16
_TIMEOUT_SECONDS = 30.0
_SLOWEST = 500.0
"""Bytes a second. What is slower over the window below is not a slow line but no line, or somebody
who wants to keep us waiting (TUF's "endless data" and "slow retrieval" attacks)."""
_SLOW_WINDOW_SECONDS = 60.0


class Line:
    """Reads from a repository.

    Attributes:
        location: the repository's.
        requests: that were made.
        bytes_read: contents received.
        server_time: what the server's clock said last; none where it says nothing.

    Args:
        location: the repository's.
        bytes_per_second: to use at most; as many as there are if none.
        agent: how it introduces itself.
        timeout: seconds without a byte, after which the other side has gone.
        slow_window: seconds over which the slowest speed is asked for.
    """

    def __init__(
        self,
        location: Location,
        bytes_per_second: float | None = None,
        agent: str = "birdedge",
        timeout: float = _TIMEOUT_SECONDS,
        slow_window: float = _SLOW_WINDOW_SECONDS,
    ) -> None:
        self.location = location
        self.requests = 0
        self.bytes_read = 0
        self.server_time: datetime | None = None
        self._limit = bytes_per_second
        self._agent = agent
        self._timeout = timeout
        self._slow_window = slow_window
        self._pool = None if location.url.startswith("file:") else _pool(location.url)

    @contextmanager
    def open(self, url: str, start: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Ask for a file, from some byte on.

        Yields:
            The byte from which it comes, 0 where the server knows no ranges; and its chunks.

        Raises:
            DownloadHTTPError: the server says no.
            SlowRetrievalError: while reading: it is too slow.
            urllib3.exceptions.HTTPError: the line is cut, or there is none.
            OSError: a folder's file cannot be read.
        """
        self.requests += 1
        if self._pool is None:
            with _local(url).open("rb") as file:
                file.seek(start)
                yield start, self._paced(iter(lambda: file.read(_CHUNK), b""))
            return
        headers = {
            "User-Agent": self._agent,
            # Hashes and ranges are of what lies there, not of what a server makes of it.
            "Accept-Encoding": "identity",
            **self.location.headers(),
        }
        if start:
            headers["Range"] = f"bytes={start}-"
        response = self._pool.request(
            "GET",
            url,
            headers=headers,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(self._timeout),
            retries=urllib3.Retry(
                total=3,
                backoff_factor=0.5,
                status_forcelist=(429, 500, 502, 503, 504),
                raise_on_status=False,
                # A day, says whoever wants us to wait.
                respect_retry_after_header=False,
            ),
        )
        self._hear_clock(response.headers.get("Date"))
        try:
            if response.status >= 400:
                reason = f"{response.status} {response.reason or ''}".strip()
                raise DownloadHTTPError(reason, response.status)
            yield (
                start if response.status == 206 else 0,
                self._paced(iter(lambda: response.read1(_CHUNK), b"")),
            )
        finally:
            # One that was read to its end has left its connection for the next request.
            response.close()

    def _paced(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Chunks, not faster than is allowed, and not slower than is bearable."""
        begun = since = time.monotonic()
        total = recent = 0
        slowest = min(_SLOWEST, (self._limit or _SLOWEST) / 2)
        for chunk in chunks:
            total += len(chunk)
            recent += len(chunk)
            self.bytes_read += len(chunk)
            yield chunk
            now = time.monotonic()
            if now - since >= self._slow_window:
                if recent < slowest * (now - since):
                    raise SlowRetrievalError(f"{recent / (now - since):.0f} bytes a second")
                since, recent = now, 0
            if self._limit is not None:
                time.sleep(max(0.0, begun + total / self._limit - now))

    def _hear_clock(self, date: str | None) -> None:
        try:
            told = parsedate_to_datetime(date or "")
        except ValueError:
            return
        self.server_time = told if told.tzinfo else told.replace(tzinfo=UTC)


def _pool(url: str) -> urllib3.PoolManager:
    """Connections to a server: straight, or through the proxy that the environment names."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme) or getproxies().get("all")
    if proxy is None or proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager()
    auth = parse_url(proxy).auth
    headers = urllib3.make_headers(proxy_basic_auth=unquote(auth)) if auth else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers)


def _local(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))
