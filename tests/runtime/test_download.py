"""What servers do that nobody asked for, and what they say of videos that they do not give."""

import gzip
import socket
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from birdedge.runtime.errors import ImageError
from birdedge.runtime.gather import gather
from birdedge.runtime.sources.download import download
from birdedge.runtime.sources.images import picture_at

Draw = Callable[..., Path]
Serve = Callable[[Callable[[socket.socket], None]], str]


def encoded(encoding: str, content: bytes) -> Callable[[socket.socket], None]:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(content)}"
    return lambda caller: caller.sendall(f"{head}\r\n\r\n".encode() + content)


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_picture_that_comes_compressed_is_read(
    serve: Serve, draw: Draw, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    url = serve(encoded(encoding, compress(draw("red.png").read_bytes())))

    assert picture_at(url).read().size == (48, 40)


@pytest.mark.parametrize(
    ("encoding", "content", "reason"),
    [
        ("br", b"whatever", "compresses it with 'br', which was not asked for"),
        ("gzip", b"whatever", "what the server compressed is damaged"),
    ],
)
def test_a_compression_that_cannot_be_undone_is_told(
    serve: Serve, encoding: str, content: bytes, reason: str
) -> None:
    with pytest.raises(ImageError, match=reason):
        picture_at(serve(encoded(encoding, content))).read()


def test_what_is_small_and_decompresses_to_much_is_cut_off(serve: Serve) -> None:
    url = serve(encoded("gzip", gzip.compress(bytes(2**26))))

    with pytest.raises(ImageError, match="larger than 1 MB"):
        download(url, seconds=30, max_bytes=2**20)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "the server says 404 Not Found"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not a video that can be read$"),
        (b"", "cannot be fetched"),
    ],
    ids=["missing", "text", "silence"],
)
def test_why_a_server_gives_no_video_is_told(serve: Serve, reply: bytes, reason: str) -> None:
    url = serve(lambda caller: caller.sendall(reply)).replace("bird.png", "feeder.mp4")

    (picture,) = gather([url])

    with pytest.raises(ImageError, match=f"^{url}: {reason}"):
        picture.read()
