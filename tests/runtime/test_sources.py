"""Files, folders, globs, addresses, standard input, videos and cameras become pictures."""

import io
import os
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from birdedge.runtime.credentials import without_credentials
from birdedge.runtime.errors import ImageError, SourceError
from birdedge.runtime.gather import expand, gather, holds_frames
from birdedge.runtime.sources import Frame, Picture
from birdedge.runtime.sources.download import download
from birdedge.runtime.sources.images import picture_at
from birdedge.runtime.sources.video import VideoSource

Serve = Callable[[Callable[[socket.socket], None]], str]
Answer = Callable[[bytes], bytes]


def png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(content, "png")
    return content.getvalue()


Pictures = Callable[..., list[Picture]]


def test_a_folder_gives_its_pictures_by_name_and_nothing_else(
    pictures: Pictures, draw: Callable[..., Path], tmp_path: Path
) -> None:
    files = [draw("p/b.png"), draw("p/a.JPG"), draw("p/below/c.webp")]
    (tmp_path / "p" / "notes.txt").write_text("not a picture")

    names = [picture.name for picture in pictures(tmp_path / "p")]

    assert names == [str(files[1]), str(files[0]), str(files[2])]


def test_what_is_hidden_in_a_folder_is_passed_over_and_a_hidden_folder_that_is_named_is_not(
    pictures: Pictures, draw: Callable[..., Path], tmp_path: Path
) -> None:
    draw("p/a.jpg"), draw("p/._a.jpg"), draw("p/.trash/b.jpg"), draw("p/below/.c.jpg")

    def names(folder: Path) -> list[str]:
        return [Path(picture.name).name for picture in pictures(folder)]

    assert names(tmp_path / "p") == ["a.jpg"]
    assert names(tmp_path / "p" / ".trash") == ["b.jpg"]
    assert names(tmp_path / "p" / "._a.jpg") == ["._a.jpg"]


def test_a_folder_without_pictures_is_one_that_cannot_be_read(
    pictures: Pictures, tmp_path: Path
) -> None:
    (picture,) = pictures(tmp_path)

    with pytest.raises(ImageError, match="no pictures in this folder"):
        picture.read()


def test_a_videos_frames_are_not_all_in_memory(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("birdedge.runtime.gather._FRAMES_AHEAD", 2)
    taken = []
    read = VideoSource.__iter__

    def counted(source: VideoSource) -> Iterator[Frame]:
        for frame in read(source):
            taken.append(frame.number)
            yield frame

    monkeypatch.setattr(VideoSource, "__iter__", counted)
    pictures = gather(expand([str(video.parent / "*.mp4")]))
    next(pictures)
    time.sleep(0.3)
    pictures.close()

    assert len(taken) <= 4


def test_a_video_is_closed_before_the_next_source_is_opened(video: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    pictures = gather([str(video)] * 20)

    assert max(open_files() for _ in pictures) <= before + 2


def test_what_a_folder_holds_besides_pictures_is_told_once(
    pictures: Pictures,
    draw: Callable[..., Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("1.MP4", "2.avi", "3.HEIC", "4.heic", "5.nef", "6.txt", "._7.mp4", "card/8.mov"):
        draw("p/card/9.png").parent.parent.joinpath(name).touch()
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "1.mp4").touch()

    assert [Path(picture.name).name for picture in pictures(tmp_path / "p")] == ["9.png"]
    (told,) = caplog.messages
    assert told.startswith(f"{tmp_path / 'p'}: 3 videos passed over (name them")
    assert "2 .heic and 1 .nef passed over (birdedge cannot read them" in told
    with pytest.raises(ImageError, match="no pictures in this folder; 1 video passed over"):
        pictures(tmp_path / "only")[0].read()
    assert len(caplog.messages) == 1


def test_a_glob_without_matches_does_not_hide_the_next_source(
    pictures: Pictures, draw: Callable[..., Path], tmp_path: Path
) -> None:
    missing, found = pictures(tmp_path / "*.gif", draw("a.png"))

    with pytest.raises(ImageError, match="no file matches"):
        missing.read()
    assert found.name.endswith("a.png")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("x" * 300 + ".jpg", "too long|no such file"),
        ("nul\0.jpg", "null"),
        ("http://[bad/", "IPv6"),
    ],
)
def test_what_cannot_be_a_source_is_told_in_its_place(
    pictures: Pictures, draw: Callable[..., Path], spec: str, reason: str
) -> None:
    strange, found = pictures(spec, draw("a.png"))

    with pytest.raises(ImageError, match=f"(?i){reason}"):
        strange.read()
    assert found.name.endswith("a.png")


@pytest.mark.parametrize(
    "asked", ["p", "p/**/*.png", "[p]/**/*.png", "p/*.png p/secret/*.png", "p/*.png p/*/*.png"]
)
def test_a_folder_that_may_not_be_read_is_told(
    pictures: Pictures,
    draw: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
) -> None:
    draw("p/1.png"), draw("p/secret/2.png")
    if "*" in asked:
        draw("p/.hidden/3.png"), draw("other/secret/4.png")  # which no pattern here means
    scan = os.scandir

    def refuse(place: Path) -> object:
        # Whoever runs the tests may be allowed to read everything.
        if Path(place).name in ("secret", ".hidden"):
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)
    found, secret = pictures(*(tmp_path / pattern for pattern in asked.split()))

    assert found.name.endswith("1.png")
    with pytest.raises(ImageError, match="secret: Permission denied"):
        secret.read()


def test_a_file_may_have_brackets_in_its_name(
    pictures: Pictures, draw: Callable[..., Path]
) -> None:
    (picture,) = pictures(draw("bird [1].png"))

    assert picture.read().size == (48, 40)


def test_a_picture_is_fetched_from_an_address(serve: Serve, answer: Answer) -> None:
    url = serve(lambda caller: caller.sendall(answer(png())))

    image = picture_at(url).read()

    assert isinstance(image, Image.Image) and image.size == (20, 10)


class Guarded(BaseHTTPRequestHandler):
    """Gives a picture to who knows the password, in either way."""

    def do_GET(self) -> None:
        expected = f"Basic {b64encode(b'garden:p@ss').decode()}"
        known = self.headers["Authorization"] == expected or self.path.endswith("?usr=me&pwd=p@ss")
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(png())

    def log_message(self, *_: object) -> None:
        pass


def test_a_password_in_an_address_is_used_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        host = f"127.0.0.1:{server.server_address[1]}"
        picture = picture_at(f"http://garden:p%40ss@{host}/bird.png")

        assert picture.read().size == (20, 10)
        assert picture.name == f"http://{host}/bird.png"
        named = picture_at(f"http://{host}/bird.png?usr=me&pwd=p@ss")
        assert named.read().size == (20, 10)
        assert named.name == f"http://{host}/bird.png?usr=***&pwd=***"
        with pytest.raises(ImageError, match=f"http://{host}/bird.png: the server says 401"):
            picture_at(f"http://garden:wrong@{host}/bird.png").read()
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:p@ss@camera/live", "rtsp://camera/live"),
        ("http://host/a@b.jpg", "http://host/a@b.jpg"),
        ("http://host?mail=a@b", "http://host?mail=a@b"),
        ("photos/a@b.jpg", "photos/a@b.jpg"),
        ("http://cam/live.cgi?USR=me&Pwd=secret&ch=1", "http://cam/live.cgi?USR=***&Pwd=***&ch=1"),
        (
            "rtsp://cam/user=me&password=secret&channel=1",
            "rtsp://cam/user=***&password=***&channel=1",
        ),
        ("rtsp://me:p/ss#w?rd@camera/live", "rtsp://camera/live"),
        ("http://host:8080/a@b.jpg", "http://host:8080/a@b.jpg"),
        ("http://cam/?api_key=1&access_token=2", "http://cam/?api_key=***&access_token=***"),
        ("http://cam/?monkey=1&keyword=2", "http://cam/?monkey=1&keyword=2"),
        ("http://cam/?loginuse=a&loginpas=b&s=0", "http://cam/?loginuse=***&loginpas=***&s=0"),
        ("http://cam/?user_name=a&user_pass=b", "http://cam/?user_name=***&user_pass=***"),
        ("http://cam/?account=a&pw=b", "http://cam/?account=***&pw=***"),
        ("http://cam/?u=a&p=b&pp=c", "http://cam/?u=***&p=***&pp=c"),
        ("rtsp://me:12#34@camera:554/live", "rtsp://camera:554/live"),
        ("rtsp://me:1234/56@camera/live", "rtsp://camera/live"),
        ("rtsp:/me:secret@camera/live", "rtsp:/camera/live"),
        ("rtsps:me:secret@camera/live", "rtsps:camera/live"),
        ("http://[fe80::1]:8080/a@b.jpg", "http://[fe80::1]:8080/a@b.jpg"),
        ("dir:/home/me@work/birds", "dir:/home/me@work/birds"),
        ("http://cam/?credentials=1&code=2&sig=3", "http://cam/?credentials=***&code=***&sig=***"),
        (
            "rtsps://camera:7441/kWpQzXcVbNmLsDfG?enableSrtp",
            "rtsps://camera:7441/kWpQ***?enableSrtp",
        ),
        ("rtsp://camera/Streaming/Channels/101", "rtsp://camera/Streaming/Channels/101"),
        ("rtsp://camera/StreamingChannelsMain/1", "rtsp://camera/StreamingChannelsMain/1"),
        ("rtsp://me:1234/56@camera", "rtsp://camera"),
        ("RTSP:/me:secret@camera/live", "RTSP:/camera/live"),
        ("mqtt://user:12/ss@host", "mqtt://host"),
        ("http://me:12#34@camera/live", "http://camera/live"),
        ("http://cam:8080/users/me@work/a.jpg", "http://cam:8080/users/me@work/a.jpg"),
        ("http://cam:8080/snap?mail=a@b.org&x=1:2", "http://cam:8080/snap?mail=a@b.org&x=1:2"),
        ("http://me@cam:80/p@q/r", "http://cam:80/p@q/r"),
        ("rtsp://camera/h264Preview_01_main", "rtsp://camera/h264Preview_01_main"),
    ],
)
def test_credentials_are_taken_out_of_addresses(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "the server says 404 Not Found"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not a picture"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + png()[:30], "picture|cannot"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "cannot be fetched"),
        (b"", "cannot be fetched"),
    ],
    ids=["missing", "text", "cut off", "not http", "silence"],
)
def test_an_answer_without_a_picture_is_told_with_the_address(
    serve: Serve, reply: bytes, reason: str
) -> None:
    url = serve(lambda caller: caller.sendall(reply))

    with pytest.raises(ImageError, match=reason) as caught:
        picture_at(url).read()
    assert url in str(caught.value)


def test_nobody_listening_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/bird.png"

        with pytest.raises(ImageError, match="refused"):
            picture_at(url).read()


def test_a_server_that_hangs_is_left_when_the_time_is_up(serve: Serve) -> None:
    url = serve(lambda caller: time.sleep(30))

    with pytest.raises(ImageError, match=r"no whole answer within 0\.5 s"):
        picture_at(url, seconds=0.5).read()


def test_a_server_that_drips_is_left_when_the_time_is_up(serve: Serve) -> None:
    def drip(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(300):
            caller.sendall(b"x")
            time.sleep(0.1)

    with pytest.raises(ImageError, match="no whole answer"):
        picture_at(serve(drip), seconds=0.5).read()


def test_a_server_that_drips_headers_is_left_when_the_time_is_up(serve: Serve) -> None:
    def drip(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(20):
            caller.sendall(b"X-%d: 1\r\n" % number)
            time.sleep(0.2)

    start = time.monotonic()
    with pytest.raises(ImageError, match="no whole answer"):
        picture_at(serve(drip), seconds=0.5).read()
    assert time.monotonic() - start < 3


def test_a_download_that_never_ends_is_cut_off(serve: Serve) -> None:
    def endless(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            caller.sendall(bytes(2**16))

    with pytest.raises(ImageError, match="larger than 1 MB"):
        download(serve(endless), seconds=30, max_bytes=2**20)


def test_a_video_gives_every_frame_with_number_and_time(video: Path) -> None:
    source = VideoSource(str(video))
    frames = list(source)
    source.close()

    assert [frame.number for frame in frames] == list(range(10))
    assert np.allclose([frame.seconds for frame in frames], np.arange(10) / 5, atol=0.02)
    first, last = frames[0].pixels.mean(axis=(0, 1)), frames[-1].pixels.mean(axis=(0, 1))
    assert first.argmax() == 0 and last.argmax() == 2


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5])
def test_a_cut_off_video_is_refused(video: Path, kept: float) -> None:
    content = video.read_bytes()
    video.write_bytes(content[: int(kept * len(content))])

    with pytest.raises(SourceError, match=str(video)):
        list(VideoSource(str(video)))


def test_a_real_video_is_decoded(shared: Path) -> None:
    source = VideoSource(str(shared / "data" / "scenes" / "cockatoo.mp4"))
    frame = next(iter(source))
    source.close()

    assert frame.pixels.shape == (720, 1280, 3)
    assert frame.pixels.std() > 10


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("bird.jpg", False),
        ("photos", False),
        ("feeder.MP4", True),
        ("PRIVATE/AVCHD/BDMV/STREAM/00000.MTS", True),
        ("http://host/feeder.mp4?key=1", True),
        ("rtsp://host/live", True),
        ("http://host/bird.jpg", False),
    ],
)
def test_videos_and_streams_hold_frames(spec: str, expected: bool) -> None:
    assert holds_frames(spec) is expected
