"""Feeder footage with a known truth: real birds moved across a real scene, in real weather."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class Bird:
    """One bird's stay.

    Attributes:
        species: its name.
        photo: RGB, cut at the bird.
        start: second at which it comes.
        seconds: how long it stays.
        path: where its middle is, in shares of width and height, evenly over its stay; two alike
            in a row are a pause.
        size: of its photo's side, as a share of the frame's height.
    """

    species: str
    photo: Pixels
    start: float
    seconds: float
    path: Sequence[tuple[float, float]]
    size: float = 0.3

    def present(self, second: float) -> bool:
        """Whether it is there at a second of the footage."""
        return self.start <= second < self.start + self.seconds

    def box(self, second: float, width: int, height: int) -> Box:
        """Where its photo is in a frame of that size."""
        along = (second - self.start) / self.seconds * (len(self.path) - 1)
        step = min(int(along), len(self.path) - 2)
        (x0, y0), (x1, y1) = self.path[step : step + 2]
        x = (x0 + (x1 - x0) * (along - step)) * width
        y = (y0 + (y1 - y0) * (along - step)) * height
        half = self.size * height / 2
        return x - half, y - half, x + half, y + half


@dataclass(frozen=True)
class Footage:
    """A scene, who comes to it, and the weather.

    Attributes:
        scene: RGB, of the camera's size.
        birds: who comes.
        seconds: how long it is.
        fps: frames a second.
        light: brightness by second, as a factor.
        wind: by how many pixels leaves sway, in the parts of the scene that are green.
        rain: drops a frame.
        noise: the sensor's, standard deviation.
    """

    scene: Pixels
    birds: Sequence[Bird] = ()
    seconds: float = 10.0
    fps: float = 10.0
    light: Sequence[tuple[float, float]] = ((0.0, 1.0),)
    wind: float = 0.0
    rain: int = 0
    noise: float = 3.0
    seed: int = 0
    _leaves: list[NDArray[np.float32]] = field(default_factory=list, init=False)

    def frames(self) -> Iterator[tuple[float, Pixels, dict[int, Box]]]:
        """Second, picture, and each present bird's box by its number."""
        rng = np.random.default_rng(self.seed)
        height, width = self.scene.shape[:2]
        for number in range(int(self.seconds * self.fps)):
            second = number / self.fps
            picture = self._sway(second)
            boxes = {}
            for index, bird in enumerate(self.birds):
                if bird.present(second):
                    boxes[index] = bird.box(second, width, height)
                    _paste(picture, bird.photo, boxes[index])
            for x, y in rng.integers(0, (width, height), (self.rain, 2)).tolist():
                cv2.line(picture, (x, y), (x + 2, y + 18), (205, 210, 215), 1, cv2.LINE_AA)
            lit = picture.astype(np.float32) * self._brightness(second)
            # One field of noise, shifted: a new one each frame would take longer than all else.
            grain = np.roll(self._grain(rng), rng.integers(0, width), axis=1)
            yield second, np.clip(lit + grain, 0, 255).astype(np.uint8), boxes

    def _brightness(self, second: float) -> float:
        seconds, factors = zip(*self.light, strict=True)
        return float(np.interp(second, seconds, factors))

    def _grain(self, rng: np.random.Generator) -> NDArray[np.float32]:
        if not self._leaves:
            red, green, blue = (self.scene[..., c].astype(np.int16) for c in range(3))
            leaves = ((green > red + 8) & (green > blue + 8)).astype(np.float32)
            self._leaves.append(cv2.GaussianBlur(leaves, (0, 0), 6)[..., None])
            grain = rng.normal(0, self.noise, self.scene.shape).astype(np.float32)
            self._leaves.append(grain)
        return self._leaves[1]

    def _sway(self, second: float) -> Pixels:
        if not self.wind:
            return self.scene.copy()
        self._grain(np.random.default_rng(self.seed))
        height, width = self.scene.shape[:2]
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        gust = self.wind * (0.6 + 0.4 * math.sin(second / 3))
        dx = gust * np.sin(2.1 * second + x / 90 + y / 60)
        dy = gust * 0.5 * np.sin(3.3 * second + x / 50)
        leaves = self._leaves[0][..., 0]
        swayed = cv2.remap(
            self.scene, x + dx * leaves, y + dy * leaves, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return np.ascontiguousarray(swayed)


def _paste(picture: Pixels, photo: Pixels, box: Box) -> None:
    """Lay the photo's middle over the picture, an ellipse with a soft edge."""
    height, width = picture.shape[:2]
    left, top = round(box[0]), round(box[1])
    side = round(box[2] - box[0])
    bird = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    alpha = np.clip((1 - np.hypot(x, y)) * 8, 0, 1)[..., None].astype(np.float32)
    west, north = max(left, 0), max(top, 0)
    east, south = min(left + side, width), min(top + side, height)
    if west >= east or north >= south:
        return
    part = slice(north - top, south - top), slice(west - left, east - left)
    under = picture[north:south, west:east].astype(np.float32)
    picture[north:south, west:east] = under + (bird[part] - under) * alpha[part]
