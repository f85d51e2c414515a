"""The line to a repository: through the house's proxy, at a bounded speed, never for ever."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import urllib3
from tuf.api.exceptions import DownloadHTTPError, SlowRetrievalError

from ..errors import SyncError
from .locations import Location
from .proxy import connections

_CHUNK = 2**16
_SMALLEST_CHUNK = 2**10
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
        patience: seconds that tries of one request may take besides their time-outs.
        may_go_on: whether the network may still be used; asked with each piece.
    """

    def __init__(
        self,
        location: Location,
        bytes_per_second: float | None = None,
        agent: str = "birdedge",
        timeout: float = _TIMEOUT_SECONDS,
        slow_window: float = _SLOW_WINDOW_SECONDS,
        patience: float = 10.0,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self.location = location
        self.requests = 0
        self.bytes_read = 0
        self.server_time: datetime | None = None
        self._limit = bytes_per_second
        self._agent = agent
        self._timeout = timeout
        self._slow_window = slow_window
        self._patience = patience
        self._may_go_on = may_go_on
        # A chunk is waited for, and slow servers hang up on who waits for long.
        self._chunk = int(min(_CHUNK, max(_SMALLEST_CHUNK, (bytes_per_second or _CHUNK) / 4)))
        local = location.url.startswith("file:")
        self._pool = None if local else connections(location.url)

    @contextmanager
    def open(self, url: str, start: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Ask for a file, from some byte on.

        Yields:
            The byte from which it comes, 0 where the server knows no ranges; and its chunks.

        Raises:
            DownloadHTTPError: the server says no.
            SlowRetrievalError: it is too slow, also while chunks are read.
            SyncError: the hours are over in which the network may be used.
            urllib3.exceptions.HTTPError: the line is cut, or there is none.
            OSError: a folder's file cannot be read.
        """
        self.requests += 1
        if self._pool is None:
            with _local(url).open("rb") as file:
                file.seek(start)
                yield start, self._paced(iter(lambda: file.read(self._chunk), b""))
            return
        response = self._ask(self._pool, url, start)
        try:
            self._hear_clock(response.headers.get("Date"))
            if response.status >= 400:
                reason = f"{response.status} {response.reason or ''}".strip()
                raise DownloadHTTPError(reason, response.status)
            wanted = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            resumed = response.status == 206 and wanted
            chunks = iter(lambda: response.read1(self._chunk), b"")
            yield (start if resumed else 0), self._paced(chunks)
        finally:
            # One that was read to its end has left its connection for the next request.
            response.close()

    def _ask(self, pool: urllib3.PoolManager, url: str, start: int) -> urllib3.BaseHTTPResponse:
        """Send a request and wait for the head of its answer, which may come byte by byte, too."""
        headers = {
            "User-Agent": self._agent,
            # Hashes and ranges are of what lies there, not of what a server makes of it.
            "Accept-Encoding": "identity",
            **self.location.headers(),
        }
        if start:
            headers["Range"] = f"bytes={start}-"
        retries = urllib3.Retry(
            total=3,
            backoff_factor=0.5,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
            # A day, says whoever wants us to wait.
            respect_retry_after_header=False,
        )
        answers: list[urllib3.BaseHTTPResponse | BaseException] = []

        def ask() -> None:
            try:
                answers.append(
                    pool.request(
                        "GET", url, headers=headers, preload_content=False, decode_content=False,
                        timeout=urllib3.Timeout(self._timeout), retries=retries,
                    )
                )  # fmt: skip
            except BaseException as error:
                answers.append(error)

        # A time-out is of each byte alone; four tries and the pauses between take no longer.
        asking = Thread(target=ask, daemon=True)
        asking.start()
        asking.join(4 * self._timeout + self._patience)
        if not answers:
            raise SlowRetrievalError("no whole answer")
        (answer,) = answers
        if isinstance(answer, BaseException):
            raise answer
        return answer

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
            if not self._may_go_on():
                raise SyncError("its hours are over; it goes on in the next ones", "closed")
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


def _local(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))
