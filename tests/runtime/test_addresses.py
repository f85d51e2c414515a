"""An address that was copied from a browser is asked for as the browser does."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from birdedge.runtime.errors import ImageError
from birdedge.runtime.gather import gather
from birdedge.runtime.sources.addresses import as_asked
from birdedge.runtime.sources.images import picture_at

Draw = Callable[..., Path]


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://host/blåmes.jpg", "http://host/bl%C3%A5mes.jpg"),
        ("http://host/blue tit.jpg", "http://host/blue%20tit.jpg"),
        ("http://host/bl%C3%A5 mes.jpg", "http://host/bl%C3%A5%20mes.jpg"),
        (
            "http://host/a.jpg?q=Å ö&x=%26&y=a/b?",
            "http://host/a.jpg?q=%C3%85%20%C3%B6&x=%26&y=a/b?",
        ),
        ("http://host/a+b,c;d=(e)@f!.jpg", "http://host/a+b,c;d=(e)@f!.jpg"),
        ("http://vögel.example:8080/a.jpg", "http://xn--vgel-5qa.example:8080/a.jpg"),
        ("http://me:p%40ss@vögel.example/", "http://me:p%40ss@xn--vgel-5qa.example/"),
        ("http://[::1]:8080/a.jpg", "http://[::1]:8080/a.jpg"),
        ("http://host", "http://host"),
    ],
)
def test_what_is_not_ascii_is_quoted_and_what_is_quoted_stays(url: str, asked: str) -> None:
    assert as_asked(url) == asked


def test_a_host_that_cannot_be_is_told() -> None:
    with pytest.raises(ImageError, match=r"http://å\.\.b/a\.jpg: cannot be fetched"):
        picture_at("http://å..b/a.jpg").read()


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server's address, and what it has, by the path that it is asked for."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", files
        server.shutdown()


def test_pictures_and_videos_with_such_names_are_fetched(
    shelf: tuple[str, dict[str, bytes]], draw: Draw, video: Path
) -> None:
    server, files = shelf
    files["/bl%C3%A5%20mes.png"] = draw("a.png").read_bytes()
    files["/bl%C3%A5%20mes.mp4"] = video.read_bytes()

    picture, frame, *_ = gather([f"{server}/blå mes.png", f"{server}/blå mes.mp4"])

    assert picture.name == f"{server}/blå mes.png"
    assert picture.read().size == (48, 40)
    assert frame.frame is not None
