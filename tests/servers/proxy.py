"""A house's proxy whose line to the outside can be cut, slowed or stalled, as toxiproxy does."""

from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import urlsplit, urlunsplit

from .base import Caller, HangUpError, Server, chunk

_OWN = {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer"}
"""Headers that are between two neighbours and not for whoever comes after."""

_TIMEOUT_SECONDS = 30.0


class CuttingProxy(Server):
    """Forwards ``http://`` requests; its ``url`` is what ``http_proxy`` wants.

    Its ``requests`` have whole addresses for paths; see ``Server`` for what its line can do.
    """

    def answer(self, caller: Caller) -> None:
        parts = urlsplit(caller.path)
        if parts.scheme != "http" or not parts.hostname:
            caller.say(400, b"a proxy wants http:// and a host")
            return
        server = HTTPConnection(parts.hostname, parts.port or 80, timeout=_TIMEOUT_SECONDS)
        try:
            target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
            headers = {k: v for k, v in caller.headers.items() if k.lower() not in _OWN}
            server.request(caller.command, target, caller.content or None, headers)
            answer = server.getresponse()
        except (OSError, HTTPException) as error:
            server.close()
            caller.say(502, f"{parts.netloc}: {error}".encode())
            return
        try:
            self._pass_on(caller, answer)
        finally:
            server.close()

    def _pass_on(self, caller: Caller, answer: HTTPResponse) -> None:
        caller.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _OWN:
                caller.send_header(name, value)
        caller.end_headers()
        if answer.length != 0:
            chunked = answer.chunked
            self.pour(caller, _pieces(answer), chunk if chunked else lambda piece: piece)
            if chunked:
                caller.wfile.write(chunk(b""))
            if answer.length:
                # The server broke off; a client that keeps this connection would wait for the rest.
                raise HangUpError
            caller.close_connection |= answer.headers.get("Content-Length") is None and not chunked


def _pieces(answer: HTTPResponse) -> Iterator[bytes]:
    try:
        yield from iter(lambda: answer.read1(2**16), b"")
    except HTTPException as error:
        raise HangUpError from error
