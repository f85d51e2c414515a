"""SOURCE arguments to pictures: what kind each one is, and how many it holds."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

from .errors import ImageError, SourceError
from .sources import FrameSource, Picture, from_frames, is_url
from .sources.images import (
    picture_at,
    picture_file,
    picture_on_stdin,
    pictures_by_glob,
    pictures_in_folder,
)

T = TypeVar("T")

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})


def gather(specs: list[str], closing: ExitStack) -> Iterator[Picture]:
    """All pictures of all sources, in order, opened one after another.

    A source that cannot be opened, or holds no pictures, is one picture that cannot be read: it is
    reported in its place and does not hide those after it.

    Args:
        specs: files, folders, globs, videos, addresses, or ``-`` for standard input.
        closing: closes what has to be closed.
    """
    for spec in specs:
        try:
            yield from _pictures(spec, closing)
        except SourceError as error:
            yield Picture(spec, partial(_refuse, str(error)))


def holds_frames(spec: str) -> bool:
    """Whether a source is a video or stream, whose end cannot be seen ahead."""
    path = Path(urlsplit(spec).path if is_url(spec) else spec)
    return _is_video(path) or spec.startswith(("rtsp:", "rtmp:"))


def _refuse(reason: str) -> NoReturn:
    raise ImageError(reason)


def _pictures(spec: str, closing: ExitStack) -> Iterator[Picture]:
    path = Path(spec)
    if spec == "-":
        yield picture_on_stdin()
    elif is_url(spec):
        if holds_frames(spec):
            yield from from_frames(_video(spec, closing))
        else:
            yield picture_at(spec)
    elif path.is_dir():
        yield from pictures_in_folder(path)
    elif _is_video(path) and path.exists():
        yield from from_frames(_video(spec, closing))
    elif any(mark in spec for mark in "*?[") and not path.exists():
        files = pictures_by_glob(spec)
        if not files:
            raise SourceError(f"{spec}: no file matches")
        yield from chain.from_iterable(_pictures(str(file), closing) for file in files)
    else:
        yield picture_file(path)


def camera_frames(
    number: int, closing: ExitStack, *, frames: int | None, seconds: float | None
) -> Iterator[Picture]:
    """Frames of a camera, until either bound is reached.

    Raises:
        SourceError: there is no such camera, or it stopped.
    """
    from .sources.usb import UsbCamera

    camera = UsbCamera(number)
    closing.callback(camera.close)
    return from_frames(bounded(camera, frames, seconds))


def bounded(items: Iterable[T], count: int | None, seconds: float | None) -> Iterator[T]:
    """Items until so many have come, or so many seconds have passed."""
    start = time.monotonic()
    for item in islice(items, count):
        if seconds is not None and time.monotonic() - start >= seconds:
            return
        yield item


def _video(spec: str, closing: ExitStack) -> FrameSource:
    from .sources.video import VideoSource

    video = VideoSource(spec)
    closing.callback(video.close)
    return video


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES
