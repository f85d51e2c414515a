"""Parts of a camera's frames, and the pictures that they are to be named by."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .sources import Frame, Picture

Polygon = Sequence[tuple[float, float]]
"""Corners as shares of the frame's width and height, from the upper left."""


@dataclass(frozen=True)
class Region:
    """A part of a frame, in whole pixels of it; right and bottom are outside.

    Attributes:
        filled: share of it in which something moves, where it was not drawn around that.
    """

    left: int
    top: int
    right: int
    bottom: int
    filled: float = field(default=1.0, compare=False)

    def crop(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of a picture ``[H, W, 3]``, not copied."""
        return pixels[self.top : self.bottom, self.left : self.right]


FindRegions = Callable[[Frame], Iterable[Region]]
"""Says where in a frame to look; frames come in order."""


@dataclass(frozen=True)
class FixedRegion:
    """The same part of every frame, in shares of its width and height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def corners(self) -> Polygon:
        """The same as a zone."""
        right, bottom = self.left + self.width, self.top + self.height
        return (self.left, self.top), (right, self.top), (right, bottom), (self.left, bottom)

    def __call__(self, frame: Frame) -> list[Region]:
        """The region in a frame's own pixels, at least one of them."""
        height, width = frame.pixels.shape[:2]
        left, top = int(self.left * width), int(self.top * height)
        right = max(round((self.left + self.width) * width), left + 1)
        bottom = max(round((self.top + self.height) * height), top + 1)
        return [Region(left, top, right, bottom)]


@dataclass(frozen=True)
class MovingPart:
    """The same part of every frame in which something moves: where a bird sits close to the camera.

    Attributes:
        part: of the frame, all of it for a bird that fills the picture.
        moves: says where something moves in it.
    """

    part: FixedRegion
    moves: FindRegions

    def __call__(self, frame: Frame) -> list[Region]:
        """The part, or none while nothing moves."""
        (part,) = self.part(frame)
        filled = max((_share(part, moving) for moving in self.moves(frame)), default=None)
        return [] if filled is None else [replace(part, filled=filled)]


WHOLE_FRAME = FixedRegion(0, 0, 1, 1)


def pictures_of(frames: Iterable[Frame], find: FindRegions) -> Iterator[Picture]:
    """Every region of every frame as a picture."""
    for frame in frames:
        for region in find(frame):
            box = (region.left, region.top, region.right, region.bottom)
            yield Picture(frame.source, partial(region.crop, frame.pixels), frame, box)


def parse_zone(text: str) -> Polygon:
    """A polygon such as ``0.1,0.2 0.9,0.2 0.5,1``.

    Raises:
        ValueError: it is none, with a reason for people.
    """
    corners = [_shares(corner, 2) for corner in text.split()]
    if len(corners) < 3:
        raise ValueError(f"{text!r} has {len(corners)} corners; a zone needs three, X,Y X,Y X,Y")
    return [(x, y) for x, y in corners]


def parse_region(text: str) -> FixedRegion:
    """A rectangle such as ``0.25,0.25,0.5,0.5``: left, top, width, height.

    Raises:
        ValueError: it is none, with a reason for people.
    """
    left, top, width, height = _shares(text, 4)
    if not (width > 0 and height > 0 and left + width <= 1 and top + height <= 1):
        raise ValueError(f"{text!r} does not lie within the frame, which is 0,0,1,1")
    return FixedRegion(left, top, width, height)


def _share(part: Region, moving: Region) -> float:
    """Of a part, what is also of another one."""
    across = min(part.right, moving.right) - max(part.left, moving.left)
    down = min(part.bottom, moving.bottom) - max(part.top, moving.top)
    size = (part.right - part.left) * (part.bottom - part.top)
    return max(across, 0) * max(down, 0) / size


def _shares(text: str, count: int) -> list[float]:
    try:
        shares = [float(number) for number in text.split(",")]
    except ValueError:
        shares = []
    if len(shares) != count or not all(0 <= share <= 1 for share in shares):
        raise ValueError(f"{text!r} is not {count} numbers from 0 to 1 with commas between them")
    return shares
