"""SOURCE arguments to pictures: what kind each one is, and how many it holds."""

from collections.abc import Container, Generator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from .credentials import without_credentials
from .errors import SourceError
from .sources import (
    Frame,
    FrameSource,
    Picture,
    exists,
    from_frames,
    is_pattern,
    is_url,
    unreadable,
)
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

_FRAMES_AHEAD = 8
"""Enough that neither waits for the other; of a video in 4K, eight need 200 MB."""


def expand(specs: list[str]) -> list[str]:
    """Sources with globs replaced by the files they name; one that names none stays."""
    return [file for spec in specs for file in (_files_by_glob(spec) if _is_glob(spec) else [spec])]


def gather(
    specs: list[str], seconds: float | None = None, named: Container[str] | None = None
) -> Generator[Picture, None, None]:
    """All pictures of all sources, in order, opened one after another.

    A source that cannot be opened, or holds no pictures, is one picture that cannot be read: it is
    reported in its place and does not hide those after it.

    Args:
        specs: files, folders, videos, addresses, or ``-`` for standard input.
        seconds: after which a live source has no more.
        named: those that somebody named, and no glob; all if not given. Only they may be pipes.
    """
    for spec in specs:
        try:
            if named is not None and spec not in named and is_special(Path(spec)):
                raise SourceError(f"{spec}: {SPECIAL}")
            yield from _pictures(spec, seconds)
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


def _pictures(spec: str, seconds: float | None) -> Iterator[Picture]:
    path = Path(spec)
    if spec == "-":
        yield picture_on_stdin()
    elif is_url(spec):
        yield from _frames(spec, seconds) if holds_frames(spec) else [picture_at(spec)]
    elif _is_glob(spec):
        raise SourceError(f"{spec}: no file matches")
    elif path.is_dir():
        yield from pictures_in_folder(path)
    elif _is_video(path) and path.exists():
        yield from _frames(spec, seconds)
    else:
        yield picture_file(path)


def _frames(spec: str, seconds: float | None) -> Iterator[Picture]:
    if is_live(spec):
        from .sources.cameras import camera_frames

        yield from from_frames(camera_frames(spec, seconds))
        return
    from .sources.video import VideoSource
    from .sources.waiting import within

    video = within(None, partial(VideoSource, spec))
    # Closed by the thread that reads: who is interrupted should not wait for one that hangs in it.
    yield from from_frames(read_ahead(_to_the_end(video), _FRAMES_AHEAD))


def _to_the_end(source: FrameSource) -> Generator[Frame, None, None]:
    with closing(source):
        yield from source


def _files_by_glob(spec: str) -> list[str]:
    # Most name their files.
    from .sources.patterns import files_by_glob

    return files_by_glob(spec)


def _is_glob(spec: str) -> bool:
    return is_pattern(spec) and not is_url(spec) and not exists(spec)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES
