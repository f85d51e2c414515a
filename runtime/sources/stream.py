"""Streams of network cameras (RTSP, RTMP, MJPEG over HTTP), through PyAV."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

from ..credentials import without_credentials
from ..errors import SourceError
from . import Frame, always

_OPEN_SECONDS = 10.0
_SILENCE_SECONDS = 8.0
"""A stream that is half open gives no error, only silence; ten seconds are promised."""

_FIRST_PICTURE_SECONDS = 30.0
"""Cameras that save bandwidth send a whole picture every ten or twenty seconds, and nothing can be
seen before the first."""

_DAMAGED_PACKETS = 100
"""Wireless cameras lose packets, and decoders mend that; a stream of nothing else is broken."""

_OPTIONS = {
    "rtsp": {"rtsp_transport": "tcp"},  # over UDP, packets that were lost smear the picture
    "http": {"user_agent": "birdedge"},
}


class StreamSource:
    """Frames of a network camera, as they come.

    Args:
        spec: an address that FFmpeg understands.

    Raises:
        SourceError: nobody answers there, or not with a video.
    """

    live = True
    wanted: Callable[[], bool] = staticmethod(always)

    def __init__(self, spec: str) -> None:
        self._name = without_credentials(spec)
        scheme = spec.partition(":")[0].removesuffix("s")
        with self._told("cannot be opened"):
            self._container = av.open(
                spec, options=_OPTIONS.get(scheme, {}), timeout=(_OPEN_SECONDS, _SILENCE_SECONDS)
            )
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(f"{self._name}: there is no video in this stream")

    def __iter__(self) -> Generator[Frame, None, None]:
        """Frames until the stream ends or the source is closed.

        Raises:
            SourceError: it broke off, or gave no picture for eight seconds, or in its first thirty.
        """
        start = time.monotonic()
        for number, pixels in enumerate(self._decoded()):
            yield Frame(pixels, datetime.now(UTC), self._name, number, time.monotonic() - start)

    def close(self) -> None:
        """Hang up."""
        self._container.close()

    def _decoded(self) -> Iterator[NDArray[np.uint8]]:
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        stands_alone = stream.codec_context.codec.intra_only
        damaged = 0
        arrived = pictured = time.monotonic()
        seen = False
        with self._told("broke off"):
            # Sound is read too: it may go on where the picture does not.
            for packet in self._container.demux():
                now = time.monotonic()
                patience = _SILENCE_SECONDS if seen else _FIRST_PICTURE_SECONDS
                for since, seconds in ((arrived, _SILENCE_SECONDS), (pictured, patience)):
                    if now - since > seconds:
                        raise SourceError(f"{self._name} gave no picture for {seconds:.0f} s")
                if packet.stream_index != stream.index:
                    continue
                arrived = now
                # Where each frame is a picture of its own, it need not even be decoded.
                if stands_alone and not self.wanted():
                    continue
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    # Before the first whole picture, all that comes looks like damage.
                    damaged += seen
                    if damaged == _DAMAGED_PACKETS:
                        raise
                    continue
                damaged = 0
                for frame in cast("list[av.VideoFrame]", frames):
                    if not stands_alone and not self.wanted():
                        continue
                    yield frame.to_ndarray(format="rgb24").view(np.uint8)
                    # The time that it took to look at it is not the camera's.
                    arrived = pictured = time.monotonic()
                    seen = True

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """FFmpeg's errors as ours; theirs name the address, password and all."""
        try:
            yield
        except av.error.ExitError as error:  # what the interruption by a time-out looks like
            raise SourceError(f"{self._name} {what}: no answer") from error
        except av.error.FFmpegError as error:
            raise SourceError(f"{self._name} {what}: {error.strerror}") from error
