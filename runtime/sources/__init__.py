"""Where pictures come from. One file per kind; each yields pictures that are yet to be decoded."""

import os
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


def is_pattern(text: str) -> bool:
    """Whether a text holds what stands for other names, as in ``*.jpg``."""
    return any(mark in text for mark in "*?[")


def is_hidden(name: str) -> bool:
    """Whether a program left it for itself: ``.ipynb_checkpoints``, macOS's ``._robin.jpg``."""
    return name.startswith(".")


def exists(path: Path | str) -> bool:
    """Whether there is such a file or folder; no name is too long or too strange to ask for."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises for names that cannot be
