"""Streams that look alive and are not, and streams without a clock."""

import io
import socket
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from birdedge.runtime.errors import SourceError
from birdedge.runtime.sources import Frame, stream
from birdedge.runtime.sources.stream import StreamSource
from birdedge.runtime.sources.video import VideoSource

Serve = Callable[[Callable[[socket.socket], None]], str]


def recorded(kind: str, pictures: int, sound_seconds: float = 0.0, whole_every: int = 5) -> bytes:
    """A recording at ten pictures a second, whose sound may go on after the last of them."""
    content = io.BytesIO()
    with av.open(content, "w", format=kind) as container:
        video = container.add_stream("mpeg2video" if sound_seconds else "h264", rate=10)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.gop_size = whole_every
        video.options = {} if sound_seconds else {"x264-params": "scenecut=0"}
        sound = container.add_stream("mp2", rate=48_000) if sound_seconds else None
        for number in range(pictures):
            picture = np.full((64, 96, 3), 20 * number % 256, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode())
        if sound is not None:
            for number in range(int(sound_seconds * 48_000 / 1152)):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), "s16", "mono")
                silence.sample_rate = 48_000
                silence.pts = 1152 * number
                silence.time_base = Fraction(1, 48_000)
                container.mux(sound.encode(silence))
            container.mux(sound.encode())
    return content.getvalue()


def frames_before(error: str, source: StreamSource) -> list[Frame]:
    """All that a stream gives before it fails."""
    seen = []
    with pytest.raises(SourceError, match=error):
        for frame in source:
            seen.append(frame)  # noqa: PERF402 - those before the error are kept
    source.close()
    return seen


def test_a_picture_that_freezes_while_its_sound_goes_on_is_noticed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_SILENCE_SECONDS", 1.0)
    content = recorded("mpegts", pictures=20, sound_seconds=120.0)

    def play(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        for start in range(0, len(content), 20_000):
            caller.sendall(content[start : start + 20_000])
            time.sleep(0.1)

    seen = frames_before("gave no picture for 1 s", StreamSource(serve(play)))

    assert 10 < len(seen) <= 20


def joined_midway(whole_every: int, pictures: int) -> bytes:
    """What a camera sends to who calls after its first whole picture; MPEG-TS packets are 188."""
    content = recorded("mpegts", pictures, whole_every=whole_every)
    return content[len(content) // 20 // 188 * 188 :]


@pytest.mark.parametrize("pictures", [250, 150], ids=["it comes", "it does not"])
def test_a_camera_that_seldom_sends_a_whole_picture_is_waited_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, pictures: int
) -> None:
    """Until then all that it sends looks like damage: more than a stream may have."""
    monkeypatch.setattr(stream, "_FIRST_PICTURE_SECONDS", 5.0)
    content = joined_midway(200, pictures)

    def play(caller: socket.socket) -> None:
        caller.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + content)

    seen = frames_before("broke off: Input/output error", StreamSource(serve(play)))

    assert (len(seen) > 0) is (pictures > 200)


def test_a_raw_stream_is_timed_by_its_rate(tmp_path: Path) -> None:
    (tmp_path / "feeder.h264").write_bytes(recorded("h264", pictures=20))
    source = VideoSource(str(tmp_path / "feeder.h264"))
    seconds = [frame.seconds for frame in islice(source, 20)]
    source.close()

    assert len(seconds) > 10
    assert all(later > earlier for earlier, later in pairwise(seconds))
