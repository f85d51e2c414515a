"""What the servers here share: a real socket, a record of requests, and a line that can break."""

import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

_PIECE = 2**16


class HangUpError(ConnectionError):
    """The server breaks off in the middle of what it says."""


class Server(ABC):
    """Answers HTTP/1.1 at 127.0.0.1 over a line as good as its attributes, until ``off()``.

    Args:
        port: to listen at; 0 for any that is free.

    Attributes:
        url: its address, without a slash at the end.
        requests: method, path (decoded, without its query) and ``Range`` of each, in order.
        bytes_sent: of bodies; what a client that hung up did not read any more may be among them.
        cuts: how often it hung up because of ``cut_after``.
        cut_after: bytes of each body after which it hangs up, as a broken line does.
        stall_after: bytes of each body after which it says no more, but does not hang up.
        bytes_per_second: how fast it sends bodies.
        date: what its clock says; the true time if none.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[str, str, str]] = []
        self.bytes_sent = 0
        self.cuts = 0
        self.cut_after: int | None = None
        self.stall_after: int | None = None
        self.bytes_per_second: int | None = None
        self.date: datetime | None = None
        self._lock = Lock()
        self._off = Event()
        self._server = _Sockets(("127.0.0.1", port), self)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.off()

    def off(self) -> None:
        """Hang up on everyone and answer no more."""
        self._off.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()

    @abstractmethod
    def answer(self, caller: "Caller") -> None:
        """Answer one request."""

    def pour(
        self,
        caller: "Caller",
        contents: Iterable[bytes],
        frame: Callable[[bytes], bytes] = lambda piece: piece,
    ) -> None:
        """Send a body over a line that may be slow, be cut, or go silent."""
        begun = time.monotonic()
        sent = 0
        for content in contents:
            rest = memoryview(content)
            while rest:
                left = self._left(sent)
                rate = self.bytes_per_second
                # Twenty pieces a second look like a slow line; one big one would come all at once.
                most = _PIECE if rate is None else max(1, min(_PIECE, rate // 20))
                piece = bytes(rest[: most if left is None else min(most, left)])
                caller.wfile.write(frame(piece))
                rest = rest[len(piece) :]
                sent += len(piece)
                with self._lock:
                    self.bytes_sent += len(piece)
                if rate is not None:
                    self._off.wait(max(0.0, begun + sent / rate - time.monotonic()))
                if self._off.is_set():
                    raise HangUpError

    def _left(self, sent: int) -> int | None:
        """Bytes until something happens to the line; if it happens now, it does."""
        stall, cut = self.stall_after, self.cut_after
        if stall is not None and sent >= stall:
            self._off.wait()
            raise HangUpError
        if cut is not None and sent >= cut:
            with self._lock:
                self.cuts += 1
            raise HangUpError
        return min((limit - sent for limit in (stall, cut) if limit is not None), default=None)

    def note(self, caller: "Caller") -> None:
        asked = (caller.command, unquote(caller.path.partition("?")[0]), caller.range)
        with self._lock:
            self.requests.append(asked)


class Caller(BaseHTTPRequestHandler):
    """One connection; ``say`` answers its request.

    Attributes:
        content: that came with the request.
    """

    protocol_version = "HTTP/1.1"
    # Head and body go out in two writes; Nagle's algorithm would hold the second back.
    disable_nagle_algorithm = True
    server: "_Sockets"
    content = b""

    @property
    def range(self) -> str:
        return self.headers.get("Range", "")

    def say(self, status: int, content: bytes = b"", **headers: str) -> None:
        """Answer with a content that is at hand; ``_`` in names of headers stands for ``-``."""
        self.send_response(status)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.server.owner.pour(self, [content])

    def handle(self) -> None:
        # A client that goes away is no news.
        with suppress(OSError):
            super().handle()

    def serve(self) -> None:
        # Read even where nobody wants it, or it would be taken for the next request.
        self.content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.owner.note(self)
        try:
            self.server.owner.answer(self)
        except OSError:
            self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        date = self.server.owner.date if timestamp is None else None
        if date is not None:
            return format_datetime(date.astimezone(UTC), usegmt=True)
        return super().date_time_string(timestamp)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Tests look at ``requests`` instead."""

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve  # noqa: N815


class _Sockets(ThreadingHTTPServer):
    """Knows its connections, for clients keep them open and would wait for ever."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], owner: Server) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(address, Caller)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def chunk(piece: bytes) -> bytes:
    """A piece as ``Transfer-Encoding: chunked`` sends it; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
