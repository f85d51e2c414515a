"""A web server over a folder that can be as hostile as an attacker, or as bad as a line."""

from itertools import repeat
from pathlib import Path
from urllib.parse import unquote

from .base import Caller, Server, chunk
from .ranges import part


class WebServer(Server):
    """Serves the files of a folder, with ranges; see ``Server`` for what its line can do.

    Args:
        folder: to serve; nothing outside of it is.
        port: to listen at; 0 for any that is free.

    Attributes:
        endless: a path for which it sends bytes for ever and never says how many.
        instead: by path, what it sends instead of what lies there.
        status: by path, the status with which it answers instead.
        no_range: set, it answers requests for ranges with everything.

    Paths are decoded and begin with a slash, as in ``requests``.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.endless: str | None = None
        self.instead: dict[str, bytes] = {}
        self.status: dict[str, int] = {}
        self.no_range = False
        self._folder = folder.resolve()
        super().__init__(port)

    def answer(self, caller: Caller) -> None:
        path = unquote(caller.path.partition("?")[0])
        if caller.command not in ("GET", "HEAD"):
            caller.say(405, b"read only", Allow="GET, HEAD")
        elif path in self.status:
            caller.say(self.status[path], b"as told")
        elif path == self.endless:
            self._never_end(caller)
        else:
            content = self.instead[path] if path in self.instead else self._read(path)
            if content is None:
                caller.say(404, b"not here")
            else:
                self._send(caller, content)

    def _read(self, path: str) -> bytes | None:
        if "\0" in path:
            return None
        file = (self._folder / path.lstrip("/")).resolve()
        inside = file.is_relative_to(self._folder)
        return file.read_bytes() if inside and file.is_file() else None

    def _send(self, caller: Caller, content: bytes) -> None:
        piece = part("" if self.no_range else caller.range, len(content))
        ranges = {} if self.no_range else {"Accept-Ranges": "bytes"}
        caller.say(
            piece.status,
            content[piece.start : piece.stop],
            Content_Type="application/octet-stream",
            **ranges,
            **piece.headers(),
        )

    def _never_end(self, caller: Caller) -> None:
        caller.send_response(200)
        caller.send_header("Transfer-Encoding", "chunked")
        caller.end_headers()
        if caller.command == "GET":
            self.pour(caller, repeat(b"for ever " * 7000), chunk)
