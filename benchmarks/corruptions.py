"""What goes wrong with pictures in a garden, in three severities each.

Kinds and steps follow ImageNet-C (D. Hendrycks and T. Dietterich, "Benchmarking Neural Network
Robustness to Common Corruptions and Perturbations", ICLR 2019), whose severities 1, 3 and 5 these
are where it has the kind; it has no small birds.
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageFilter

Corrupt = Callable[[Image.Image, float], Image.Image]


def _brighter(image: Image.Image, by: float) -> Image.Image:
    """Value in HSV, which is their largest channel, raised by a share of full scale."""
    hsv = np.asarray(image.convert("HSV")).copy()
    hsv[..., 2] = np.clip(hsv[..., 2] + by * 255, 0, 255)
    return Image.fromarray(hsv, "HSV").convert("RGB")


def _blurred(image: Image.Image, sigma: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(sigma * min(image.size) / 224))


def _noisy(image: Image.Image, deviation: float) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = np.random.default_rng(0).normal(0, 255 * deviation, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _compressed(image: Image.Image, quality: float) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "jpeg", quality=int(quality))
    return Image.open(content).convert("RGB")


def _smaller(image: Image.Image, share: float) -> Image.Image:
    """The bird takes a share of the width, amid what a blurred copy of the picture has around."""
    around = image.filter(ImageFilter.GaussianBlur(min(image.size) / 8))
    size = max(1, round(image.width * share)), max(1, round(image.height * share))
    corner = (image.width - size[0]) // 2, (image.height - size[1]) // 2
    around.paste(image.resize(size, Image.Resampling.BILINEAR), corner)
    return around


CORRUPTIONS: Mapping[str, tuple[Corrupt, tuple[float, float, float]]] = {
    "brightness": (_brighter, (0.1, 0.3, 0.5)),
    "blur": (_blurred, (1.0, 3.0, 6.0)),
    "noise": (_noisy, (0.08, 0.18, 0.38)),
    "JPEG": (_compressed, (25, 15, 7)),
    "small bird": (_smaller, (0.75, 0.5, 0.25)),
}
"""Kinds, and the strength at each severity; a blur's in pixels of a picture 224 wide."""


def corrupted(image: Image.Image, kind: str, severity: int) -> Image.Image:
    """A picture as it comes out worse.

    Args:
        image: RGB.
        kind: one of `CORRUPTIONS`.
        severity: 1, 2 or 3.
    """
    corrupt, strengths = CORRUPTIONS[kind]
    return corrupt(image, strengths[severity - 1])
