"""Which kind of camera a text names, and what it sees."""

import logging
import re
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event

from .. import plugins
from ..credentials import without_credentials
from ..errors import SourceError
from ..pace import Pace
from . import Frame, FrameSource, Lost
from .ahead import read_ahead, read_newest
from .reconnect import Reconnecting

GROUP = "birdedge.sources"

_FRAMES_AHEAD = 4
"""Of a trail camera's pictures, 12 million pixels each, four need 150 MB; a Pi has that."""


_log = logging.getLogger(__name__)


def kind_of(spec: str) -> str:
    """The name of the entry point that opens a camera: its scheme, as in ``rtsp://camera``.

    A number or ``/dev/video0`` is a USB camera, and a file a video.

    Raises:
        SourceError: there is no such kind.
    """
    if spec.isdecimal() or spec.startswith("/dev/video"):
        return "usb"
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=:|$)", spec)
    if scheme and plugins.find(GROUP, scheme[0].lower()) and not Path(spec).is_file():
        return scheme[0].lower()
    if Path(spec).suffix:
        return "video"
    raise SourceError(
        f"{without_credentials(spec)!r} names no camera; a number, usb:0, picamera, rtsp://..., "
        "http://... (MJPEG), dir:FOLDER or a video file would"
    )


def is_recording(spec: str) -> bool:
    """Whether a text names a video file, rather than a camera that sees what happens now."""
    return kind_of(spec) == "video"


def open_source(spec: str) -> FrameSource:
    """Open a camera; see `kind_of`.

    Raises:
        SourceError: it is of no known kind, or cannot be opened.
    """
    point = plugins.find(GROUP, kind_of(spec))
    assert point is not None
    source: FrameSource = point.load()(spec)
    return source


def camera_frames(
    spec: str, seconds: float | None = None, stop: Event | None = None
) -> Generator[Frame, None, None]:
    """Frames of a camera: of one that lives, the newest each time, through all its losses.

    Args:
        spec: the camera; see `kind_of`.
        seconds: after which there are no more, whether the camera gives any or not.
        stop: set, it ends them as well.

    Raises:
        SourceError: it cannot be opened, or a file is damaged.
    """
    with closing(watch_camera(spec, seconds, stop)) as moments:
        for moment in moments:
            if isinstance(moment, Frame):
                yield moment


def watch_camera(
    spec: str, seconds: float | None = None, stop: Event | None = None
) -> Generator[Frame | Lost, None, None]:
    """What `camera_frames` gives, and of a camera that gives nothing now and then that it is lost.

    Raises:
        SourceError: as there.
    """
    opened = open_source(spec)
    _log.info("watching %s", without_credentials(spec))
    source: FrameSource | Reconnecting = opened
    ahead: Generator[Frame | Lost, None, None]
    if opened.live:
        source = Reconnecting(opened, partial(open_source, spec), Pace())
        ahead = read_newest(iter(source), seconds, stop)
    else:
        ahead = read_ahead(iter(opened), _FRAMES_AHEAD, seconds, stop)
    none_yet = True
    try:
        for moment in ahead:
            none_yet = none_yet and isinstance(moment, Lost)
            yield moment
        if none_yet and source.live and not (stop and stop.is_set()):
            raise SourceError(f"{without_credentials(spec)} gave no frame in {seconds:g} s")
    finally:
        # First, for the thread that reads may be waiting in it.
        source.close()
        ahead.close()
