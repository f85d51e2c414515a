"""A network camera to measure by: JPEGs over a socket, ten a second."""

import socketserver
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain, cycle

FPS = 10.0


class MjpegCamera:
    """Sends pictures, ten a second, from the first one on to whoever calls.

    Args:
        pictures: JPEG files.
        again: whether the first one follows the last one.

    Attributes:
        url: its address.
        sent: when each picture began to be sent, by its number.
    """

    def __init__(self, pictures: Sequence[bytes], *, again: bool = False) -> None:
        self._pictures = pictures
        self._again = again
        self.sent: list[float] = []
        camera = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    self.request.recv(2**16)
                    camera._play(self.request.sendall)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/stream.mjpg"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _play(self, send: Callable[[bytes], None]) -> None:
        send(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        start = time.monotonic()
        played = chain.from_iterable(cycle([self._pictures]) if self._again else [self._pictures])
        for number, jpeg in enumerate(played):
            time.sleep(max(0.0, start + number / FPS - time.monotonic()))
            self.sent.append(time.monotonic())
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            send(head.encode() + jpeg + b"\r\n")
