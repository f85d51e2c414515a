"""Where pictures come from. One file per kind; each yields pictures that are yet to be decoded."""

import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import ImageError

# A camera's or a broker's: as far as the last @, for nothing but passwords hold one there, and also
# where a slash was forgotten.
_CAMERA_CREDENTIALS = re.compile(r"^((?:rtsp|rtmp|mqtt)s?:/{0,2}).*@", re.IGNORECASE)
# Elsewhere as far as the last @ before the path: a password may hold one. And one that holds a
# slash, by mistake, is no less secret: what follows a colon and is no port goes on as far as any @.
_CREDENTIALS = re.compile(
    r"^([a-z][a-z0-9+.-]*://|https?:/?)(?:[^/?#:\[]*:(?!\d+(?:[/?]|$)).*@|[^/?#]*@)", re.IGNORECASE
)
# Many cameras want them in the path or the query: /user=admin&password=secret&channel=1. Each maker
# has its own words for them (loginpas, user_pass, pw): rather one setting too many is hidden.
_NAMED_CREDENTIALS = re.compile(
    r"([/?&;](?:[a-z0-9_-]*(?:user|usr|login|pass|pwd|auth|token|secret|cred|signature)[a-z0-9_-]*|"
    r"u|p|pw|account|key|api_?key|sid|session|code|sig|hash|jwt)=)[^/?&;#]*",
    re.IGNORECASE,
)
# Others give each stream a name that nobody guesses: rtsps://host:7441/kWpQzXcVbNmLsDfG.
_SECRET_NAME = re.compile(
    r"^((?i:rtsps?)://[^/]+/[A-Za-z0-9]{4})(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[A-Z])"
    r"[A-Za-z0-9]{12,}(?=\?|$)"
)


@dataclass(frozen=True)
class Frame:
    """One picture of a camera or video.

    Attributes:
        pixels: RGB uint8 ``[H, W, 3]``.
        captured_at: when, in UTC.
        source: the camera's or video's name.
        number: counted from 0.
        seconds: since the first frame.
    """

    pixels: NDArray[np.uint8]
    captured_at: datetime
    source: str
    number: int
    seconds: float


@dataclass(frozen=True)
class Lost:
    """Said instead of frames: a camera gives none, and is being tried again.

    Attributes:
        seconds: since the first frame.
    """

    seconds: float


def always() -> bool:
    """Every frame is wanted."""
    return True


class FrameSource(Protocol):
    """An iterator of frames that can be closed.

    Attributes:
        live: frames come by themselves, and only the newest matters; otherwise all do.
        wanted: asked by a live one as a frame comes, before work is put into it; where it says no,
            the frame is left out. `always`, until somebody puts another in its place. Of a source
            without it, frames are left out that it has worked on.
    """

    live: bool
    wanted: Callable[[], bool]

    def __iter__(self) -> Generator[Frame, None, None]:
        """Frames as they come, until the source ends or is closed."""

    def close(self) -> None:
        """Release the camera or file."""


@dataclass(frozen=True)
class Picture:
    """Something to classify.

    Attributes:
        name: the file, address or source it comes from.
        read: decodes it, in any thread; raises `ImageError` when it cannot.
        frame: number and time, where it is a frame of a camera or video.
        box: left, top, right and bottom in the frame's pixels, where it is a part of one.
    """

    name: str
    read: Callable[[], Image.Image | NDArray[np.uint8]]
    frame: Frame | None = None
    box: tuple[int, int, int, int] | None = None


def from_frames(frames: Iterable[Frame]) -> Iterator[Picture]:
    """Frames as pictures; they are decoded already."""
    for frame in frames:
        yield Picture(frame.source, partial(_pixels, frame), frame)


def _pixels(frame: Frame) -> NDArray[np.uint8]:
    return frame.pixels


def unreadable(name: str, reason: str) -> Picture:
    """A picture that cannot be read: so what is wrong is reported in its place."""
    return Picture(name, partial(_refuse, reason))


def _refuse(reason: str) -> NoReturn:
    raise ImageError(reason)


def is_url(spec: str) -> bool:
    """Whether a source is an address rather than a file."""
    return "://" in spec and not exists(spec)


def exists(path: Path | str) -> bool:
    """Whether there is such a file or folder; no name is too long or too strange to ask for."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises for names that cannot be


def without_credentials(url: str) -> str:
    """An address as it may be shown, without the user, password or token in it."""
    for credentials in (_CAMERA_CREDENTIALS, _CREDENTIALS):
        url = credentials.sub(r"\1", url)
    return _SECRET_NAME.sub(r"\1***", _NAMED_CREDENTIALS.sub(r"\1***", url))
