"""A network camera that speaks MJPEG over HTTP, in as many ways as cheap ones do."""

import io
import socket
import socketserver
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

from PIL import Image

HEAD = (
    b"HTTP/1.0 200 OK\r\nCache-Control: no-cache\r\n"
    b"Content-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
)


class MjpegCamera:
    """Sees one colour, or what it is told to, twenty times a second.

    Args:
        color: that it sees; may be changed while it runs.
        sees: what it sees instead: gives the JPEG of the moment; likewise.
        port: to listen at; 0 for any that is free.
        password: without which it shows nothing to anyone but ``me``.

    Attributes:
        url: its address, with user and password.
        callers: how often a stream was asked for.
        silent: set, it keeps connections and says no more, as one that lost its power does.
    """

    def __init__(
        self,
        color: str = "#d01010",
        port: int = 0,
        password: str = "",
        sees: Callable[[], bytes] | None = None,
    ) -> None:
        self.color = color
        self.sees = sees or self._color
        self.callers = 0
        self.silent = Event()
        self._password = password
        self._off = Event()
        camera = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    camera._answer(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        user = f"me:{password}@" if password else ""
        self.url = f"http://{user}127.0.0.1:{self.port}/stream.mjpg"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def off(self) -> None:
        """Hang up on everyone and answer no more."""
        self._off.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, caller: socket.socket) -> None:
        asked = caller.recv(2**16).decode()
        wanted = f"Basic {b64encode(f'me:{self._password}'.encode()).decode()}"
        if self._password and wanted not in asked:
            challenge = 'WWW-Authenticate: Basic realm="camera"'
            caller.sendall(f"HTTP/1.0 401 Unauthorized\r\n{challenge}\r\n\r\n".encode())
            return
        self.callers += 1
        caller.sendall(HEAD)
        while not self._off.is_set():
            if not self.silent.is_set():
                caller.sendall(self._part())
            time.sleep(0.05)

    def _color(self) -> bytes:
        content = io.BytesIO()
        Image.new("RGB", (96, 64), self.color).save(content, "jpeg")
        return content.getvalue()

    def _part(self) -> bytes:
        jpeg = self.sees()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        return head.encode() + jpeg + b"\r\n"
