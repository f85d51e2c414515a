"""Where in a camera's frames something moves: regions to look at closely."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .regions import Polygon, Region
from .sources import Frame
from .sources.opencv import cv2

Small = NDArray[np.uint8]
"""A frame, RGB ``[h, w, 3]``, or a mask ``[h, w]`` of 0 and 255, at the size that is looked at."""

_WIDTH = 320
"""Pixels to which a frame is brought down; a bird of a twentieth of the width has 16 left."""

_SHADOW_AND_LESS = 127
"""How OpenCV marks shadows; what moves is 255."""

_FORGETTING_SECONDS = 300.0
_BACKGROUND_SHARE = 0.8
"""What stands still is background once it has been seen for a fifth of the remembered time, about a
minute: `_FORGETTING_SECONDS` times -log of this share."""

_LARGEST_STEP_SECONDS = 1.0
"""Frames further apart teach no more than this: what came during a loss is not background yet."""

_DARK, _WHITE = 20, 245
"""Of values beyond these a change of light cannot be told."""

_OTHER_LIGHT = 0.1
_STEADY_SECONDS = 1.0
_STEADY = 0.02
"""Logarithms: in light that is a tenth brighter or darker, and steady for about a second, the scene
is learned anew."""

_SUDDEN_SHARE = 0.6
"""If more of the picture moves, it is the camera."""

_STILL = 12
_STILL_SHARE = 0.9
_FIDGET = 2.0
"""Still is what changes by less than so many levels from one frame to the next, in so much of a
part; what is not takes from the time that it stood still, by this factor."""

_HOLE_EDGES = 2.0
_HOLE_SECONDS = 0.5
"""What has stood still for so long and has its edges in the background rather than in the picture,
by this factor, is a hole: where a bird was that had become background, or was taken for it when the
light changed."""

_NEAR_PIXELS, _NEAR_SHARE = 8, 0.3
"""So far around what moves, and by so much of its longer side, there may be more of it."""

_STANDS_SECONDS = -_FORGETTING_SECONDS * math.log(_BACKGROUND_SHARE)
"""What stands still so long is background, also where light that changes has it learned anew."""

_MARGIN = 0.12
"""Of the moving part's longer side, on each side: plumage may look like what is behind it. With
twice as much, or none, fewer of 32 composed visits are named right."""


class MotionDetector:
    """Tells what moves from what sways, flickers, or is lit otherwise.

    The background is a mixture of Gaussians for each pixel, so that leaves in the wind are part of
    it (Z. Zivkovic, "Improved Adaptive Gaussian Mixture Model for Background Subtraction", ICPR
    2004), with its shadow test (A. Prati et al., "Detecting Moving Shadows", PAMI 2003).

    Args:
        smallest: share of the frame's area below which nothing counts: insects, rain, leaves.
        zones: where to look; everywhere if there are none.
    """

    def __init__(self, smallest: float = 0.002, zones: Sequence[Polygon] = ()) -> None:
        self._smallest = smallest
        self._zones = zones
        self._inside: Small | None = None
        self._shape: tuple[int, ...] = ()
        self._background: Any = None
        self._before: Small | None = None
        self._stood = np.zeros((0, 0), np.float32)
        self._seconds = 0.0
        self._light = 0.0

    def __call__(self, frame: Frame) -> list[Region]:
        """Where something moves in a frame, largest first; squares where the frame allows it."""
        height, width = frame.pixels.shape[:2]
        scale = _WIDTH / width
        size = _WIDTH, max(1, round(height * scale))
        small = np.asarray(cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA))
        passed = min(max(frame.seconds - self._seconds, 0.0), _LARGEST_STEP_SECONDS)
        self._seconds = frame.seconds
        if small.shape != self._shape:
            self._learn(small)
            return []
        moving = self._moving(small, passed)
        if np.count_nonzero(moving) > _SUDDEN_SHARE * moving.size:
            self._learn(small)
            return []
        boxes = self._boxes(cv2.bitwise_and(moving, self._mask(moving.shape)))
        return [_around(box, scale, width, height) for box in boxes]

    def _learn(self, scene: Small) -> None:
        """Take a picture for the background."""
        self._background = cv2.createBackgroundSubtractorMOG2(detectShadows=True)
        self._background.setBackgroundRatio(_BACKGROUND_SHARE)
        self._background.apply(scene, learningRate=1.0)
        if scene.shape != self._shape:
            self._shape = scene.shape
            self._stood = np.zeros(scene.shape[:2], np.float32)
        self._before = None
        self._light = 0.0

    def _moving(self, small: Small, passed: float) -> Small:
        """A mask of what moves, in whatever light."""
        background = self._background.getBackgroundImage()
        light = _change_of_light(small, background)
        lit = _scaled(small, math.exp(-light))
        mask = self._background.apply(lit, learningRate=_learned(passed, _FORGETTING_SECONDS))
        _, moving = cv2.threshold(mask, _SHADOW_AND_LESS, 255, cv2.THRESH_BINARY)
        still = self._still(lit, passed, moving)
        if abs(light) > _OTHER_LIGHT:
            moving[~_tells_light(small, background)] = 0
        # Drops and flicker are small; holes in a bird are too.
        moving = cv2.medianBlur(moving, 5)
        moving = cv2.morphologyEx(moving, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        settled = self._settled(moving, still, lit, background)
        moving[settled] = 0
        steady = abs(light) > _OTHER_LIGHT and abs(light - self._light) < _STEADY
        if steady or settled.any():
            kept = _surroundings(moving) & ~settled
            self._learn(np.where(kept[..., None], _scaled(background, math.exp(light)), small))
        else:
            self._light += (light - self._light) * _learned(passed, _STEADY_SECONDS)
        return np.asarray(moving, np.uint8)

    def _still(self, lit: Small, passed: float, moving: Small) -> NDArray[np.bool_]:
        """Where a picture is as the one before it, ``[h, w]``; keeps count of how long."""
        still = np.zeros(moving.shape, np.bool_)
        near = cv2.dilate(moving, np.ones((9, 9), np.uint8)) > 0
        self._stood[~near] = 0
        # After the scene was learned anew there is nothing to compare with, for a moment.
        if self._before is not None and near.any():
            still = cv2.absdiff(lit, self._before).max(axis=2) < _STILL
            # The sensor's noise, or light on its way, is no new beginning.
            step = np.where(still, passed, -_FIDGET * passed)
            self._stood = np.maximum(self._stood + step, 0).astype(np.float32)
        self._before = lit
        return still

    def _settled(
        self, moving: Small, still: NDArray[np.bool_], lit: Small, background: Small
    ) -> NDArray[np.bool_]:
        """Holes, and what has stood still for long: to be background from now on, ``[h, w]``."""
        settled = np.zeros(moving.shape, np.bool_)
        if not (still & (moving > 0)).any():
            return settled
        edges = None
        _, parts, boxes, _ = cv2.connectedComponentsWithStats(moving, connectivity=8)
        for part, area in enumerate(boxes[1:, 4], start=1):
            if area < self._smallest * moving.size:
                continue
            inside = parts == part
            stood = self._stood[inside]
            if (stood > _STANDS_SECONDS).mean() > _STILL_SHARE:
                settled |= inside
            elif still[inside].mean() > _STILL_SHARE and np.median(stood) > _HOLE_SECONDS:
                # What is near something else may be a part of it, and of a bird.
                alone = not (_surroundings(np.where(inside, 0, moving)) & inside).any()
                edges = edges or (_edges(lit), _edges(background))
                if alone and _is_hole(inside, *edges):
                    settled |= inside
        return settled

    def _mask(self, shape: tuple[int, ...]) -> Small:
        if self._inside is None or self._inside.shape != shape:
            size = np.asarray(shape[1::-1])
            self._inside = np.full(shape, 0 if self._zones else 255, np.uint8)
            for zone in self._zones:
                corners = np.asarray(zone, dtype=np.float64) * size
                cv2.fillPoly(self._inside, [corners.round().astype(np.int32)], 255)
        return self._inside

    def _boxes(self, moving: Small) -> list[tuple[int, int, int, int]]:
        _, _, parts, _ = cv2.connectedComponentsWithStats(moving, connectivity=8)
        return [
            (int(x), int(y), int(w), int(h))
            for x, y, w, h, area in sorted(parts[1:], key=lambda part: -part[4])
            if area >= self._smallest * moving.size
        ]


def _edges(picture: Small) -> NDArray[np.float32]:
    """How steep brightness is, ``[h, w]``."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _is_hole(
    inside: NDArray[np.bool_], now: NDArray[np.float32], then: NDArray[np.float32]
) -> bool:
    """Whether the edges of a part lie in the background rather than in the picture."""
    mask, ring = inside.astype(np.uint8), np.ones((5, 5), np.uint8)
    rim = cv2.dilate(mask, ring) > cv2.erode(mask, ring)
    return bool(then[rim].mean() > _HOLE_EDGES * now[rim].mean())


def _surroundings(moving: Small) -> NDArray[np.bool_]:
    """What moves and all around it: birds have parts that look like what is behind them."""
    around = np.zeros(moving.shape, np.bool_)
    for *box, _ in cv2.connectedComponentsWithStats(moving, connectivity=8)[2][1:]:
        around[_grown(box)] = True
    return around


def _grown(box: Sequence[int]) -> tuple[slice, slice]:
    """Rows and columns of a box and of all that is near it."""
    x, y, w, h = box
    near = _NEAR_PIXELS + int(_NEAR_SHARE * max(w, h))
    return slice(max(y - near, 0), y + h + near), slice(max(x - near, 0), x + w + near)


def _change_of_light(small: Small, background: Small) -> float:
    """Logarithm of how much brighter a picture is than the background.

    A cloud, or the camera's own exposure, changes all of a picture by one factor. The median over
    the pixels does not heed what moves, as long as that is less than half of them; of sixteen
    pixels one is enough.
    """
    now, then = small[::4, ::4], background[::4, ::4]
    telling = _tells_light(now, then)
    if np.count_nonzero(telling) < telling.size // 10:
        return 0.0
    ratios = now[telling].sum(axis=1) / then[telling].sum(axis=1)
    return math.log(float(np.median(ratios)))


def _tells_light(small: Small, background: Small) -> NDArray[np.bool_]:
    """Which pixels are neither dark nor white, in any channel of either picture, ``[h, w]``."""
    low = np.minimum(small, background).min(axis=2)
    high = np.maximum(small, background).max(axis=2)
    return np.asarray((low > _DARK) & (high < _WHITE))


def _scaled(picture: Small, factor: float) -> Small:
    return np.asarray(cv2.convertScaleAbs(picture, alpha=factor), np.uint8)


def _learned(passed: float, seconds: float) -> float:
    """Weight of something new in an average that forgets with a time constant."""
    return 1 - math.exp(-passed / seconds)


def _around(box: tuple[int, int, int, int], scale: float, width: int, height: int) -> Region:
    """The square in the full frame around a box in the small one, with a margin."""
    x, y, w, h = (value / scale for value in box)
    side = max(w, h) * (1 + 2 * _MARGIN)
    across, down = min(side, width), min(side, height)
    left = min(max(x + w / 2 - across / 2, 0), width - across)
    top = min(max(y + h / 2 - down / 2, 0), height - down)
    return Region(int(left), int(top), math.ceil(left + across), math.ceil(top + down))
