"""A web server over a folder that counts all that goes through its sockets."""

import re
import socket
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote


@dataclass
class Traffic:
    """Of a server's sockets since it was last asked."""

    requests: int = 0
    sent: int = 0
    received: int = 0


class _Counted(socket.socket):
    """A connection whose bytes are counted, headers among them."""

    counter: Traffic

    def sendall(self, *args: Any) -> None:
        super().sendall(*args)
        self.counter.sent += len(args[0])

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        count = super().recv_into(*args, **kwargs)
        self.counter.received += count
        return count


class Web(ThreadingHTTPServer):
    """Serves a folder's files, also from some byte on, and counts."""

    daemon_threads = True
    # Clients that were killed are not waited for.
    block_on_close = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.traffic = Traffic()
        super().__init__(("127.0.0.1", 0), _Answer)
        Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection, to be counted."""
        plain, address = super().get_request()
        connection = _Counted(fileno=plain.detach())
        connection.counter = self.traffic
        return connection, address

    def handle_error(self, *_: object) -> None:
        """A client that was killed is no news."""


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body go out in two writes; Nagle's algorithm would hold the second back.
    disable_nagle_algorithm = True
    server: Web

    def do_GET(self) -> None:
        self.server.traffic.requests += 1
        path = (self.server.folder / unquote(self.path).lstrip("/")).resolve()
        if not path.is_relative_to(self.server.folder.resolve()) or not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])

    def log_message(self, *_: object) -> None:
        """The counts tell enough."""
