"""SOURCE arguments to pictures: what kind each one is, and how many it holds."""

import time
from collections.abc import Container, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .credentials import without_credentials
from .errors import ImageError, SourceError
from .sources import Frame, Picture, exists, from_frames, is_pattern, is_url, unreadable
from .sources.ahead import read_ahead
from .sources.images import (
    SPECIAL,
    VIDEO_SUFFIXES,
    is_special,
    picture_at,
    picture_file,
    picture_on_stdin,
    pictures_in_folder,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from .sources.video import VideoSource

_FRAMES_AHEAD = 8
"""Enough that neither waits for the other; of a video in 4K, eight need 200 MB."""

_LEAST_SECONDS = 1.0
"""However short the time, what is at hand is read."""


def expand(specs: list[str]) -> list[str]:
    """Sources with globs replaced by the files they name; one that names none stays."""
    return [file for spec in specs for file in (_files_by_glob(spec) if _is_glob(spec) else [spec])]


def gather(
    specs: list[str], deadline: float | None = None, named: Container[str] | None = None
) -> Generator[Picture, None, None]:
    """All pictures of all sources, in order, opened one after another.

    A source that cannot be opened, or holds no pictures, is one picture that cannot be read: it is
    reported in its place and does not hide those after it.

    Args:
        specs: files, folders, videos, addresses, or ``-`` for standard input.
        deadline: by `time.monotonic`, after which a live source or a video has no more, and what
            was waited for (an address, a pipe, standard input) cannot be read.
        named: those that somebody named, and no glob; all if not given. Only they may be pipes.
    """
    for number, spec in enumerate(specs):
        # Not even begun: each would be given its least time.
        if number and deadline is not None and time.monotonic() >= deadline:
            return
        try:
            if named is not None and spec not in named and is_special(Path(spec)):
                raise SourceError(f"{spec}: {SPECIAL}")
            yield from _pictures(spec, deadline)
        except SourceError as error:
            yield unreadable(without_credentials(spec), str(error))
        # Names that no file can have, folders that may not be entered, addresses that are none.
        except (OSError, ValueError) as error:
            name, reason = without_credentials(spec), getattr(error, "strerror", None) or error
            yield unreadable(name, f"{name}: {reason}")


def holds_frames(spec: str) -> bool:
    """Whether a source is a video or stream, whose end cannot be seen ahead."""
    if is_live(spec):
        return True
    try:
        return _is_video(Path(urlsplit(spec).path if is_url(spec) else spec))
    except ValueError:  # not an address
        return False


def is_live(spec: str) -> bool:
    """Whether a source is a stream of what happens now, of which only the newest frame matters."""
    return spec.startswith(("rtsp:", "rtsps:", "rtmp:"))


def _pictures(spec: str, deadline: float | None) -> Iterator[Picture]:
    path = Path(spec)
    if spec == "-":
        yield _in_time(picture_on_stdin(), deadline)
    elif is_url(spec):
        if holds_frames(spec):
            yield from _frames(spec, deadline)
        else:
            yield _in_time(picture_at(spec), deadline)
    elif _is_glob(spec):
        raise SourceError(f"{spec}: no file matches")
    elif path.is_dir():
        yield from pictures_in_folder(path)
    elif _is_video(path) and path.exists():
        yield from _frames(spec, deadline)
    elif deadline is not None and is_special(path):
        yield _in_time(picture_file(path), deadline)
    else:
        yield picture_file(path)


def _frames(spec: str, deadline: float | None) -> Iterator[Picture]:
    if is_live(spec):
        from .sources.cameras import camera_frames

        yield from from_frames(camera_frames(spec, _left(deadline)))
        return
    from .sources.video import VideoSource
    from .sources.waiting import within

    try:
        video = within(_left(deadline), partial(VideoSource, spec))
    except TimeoutError as error:
        raise SourceError(_too_late(without_credentials(spec))) from error
    # Closed by the thread that reads: who is interrupted should not wait for one that hangs in it.
    frames = read_ahead(_to_the_end(video), _FRAMES_AHEAD, _left(deadline))
    none_yet = True
    for picture in from_frames(frames):
        none_yet = False
        yield picture
    if none_yet and deadline is not None:
        raise SourceError(_too_late(without_credentials(spec)))


def _to_the_end(source: "VideoSource") -> Generator[Frame, None, None]:
    with closing(source):
        yield from source


def _in_time(picture: Picture, deadline: float | None) -> Picture:
    """One that may be waited for, until a deadline."""
    if deadline is None:
        return picture
    return replace(picture, read=partial(_read_in_time, picture, deadline))


def _read_in_time(picture: Picture, deadline: float) -> "Image.Image | NDArray[np.uint8]":
    from .sources.waiting import within

    try:
        return within(_left(deadline), picture.read)
    except TimeoutError as error:
        raise ImageError(_too_late(picture.name)) from error


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - time.monotonic(), _LEAST_SECONDS)


def _too_late(name: str) -> str:
    return f"{name}: nothing came before the time was up"


def _files_by_glob(spec: str) -> list[str]:
    # Most name their files.
    from .sources.patterns import files_by_glob

    return files_by_glob(spec)


def _is_glob(spec: str) -> bool:
    return is_pattern(spec) and not is_url(spec) and not exists(spec)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES
