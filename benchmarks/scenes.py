"""Who comes to composed footage, and where: real photos before real scenes."""

from pathlib import Path

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from .footage import Bird
from .photos import read_photos

SIZE = (1280, 720)

SCENES = (("cockatoo.mp4", 279), ("realshort.mp4", 0))
"""Recordings, and which of their frames shows the scene without a bird."""


def guests(
    photos: Path, count: int, species: int, rng: np.random.Generator, longest: float = 12.0
) -> list[Bird]:
    """Birds that come one after another, sit here and there, and leave.

    Args:
        photos: a folder for each species.
        count: how many birds.
        species: of how many species.
        rng: chooses who comes, when and where.
        longest: seconds that one stays at most; three at least.
    """
    found = read_photos(photos)
    by_species: dict[str, list[Path]] = {}
    for file, name in zip(found.paths, found.species, strict=True):
        by_species.setdefault(name, []).append(file)
    names = list(by_species)
    chosen = [names[number] for number in rng.choice(len(names), species, replace=False)]
    birds = []
    start = 5.0
    for number in range(count):
        name = chosen[number % species]
        files = by_species[name]
        photo = Image.open(files[int(rng.integers(len(files)))]).convert("RGB")
        stay = float(rng.uniform(3, longest))
        outside = [(-0.3, float(rng.uniform(0.2, 0.7))), (1.3, float(rng.uniform(0.2, 0.7)))]
        path = [outside[int(rng.integers(2))]]
        for _ in range(int(rng.integers(1, 4))):
            perch = float(rng.uniform(0.15, 0.85)), float(rng.uniform(0.25, 0.75))
            path += [perch] * int(rng.integers(2, 5))
        path.append(outside[int(rng.integers(2))])
        size = float(rng.uniform(0.15, 0.45))
        birds.append(Bird(name, np.asarray(photo), start, stay, path, size))
        start += stay + float(rng.uniform(4, 10))
    return birds


def still(data: Path, name: str, number: int) -> NDArray[np.uint8]:
    """A scene with nobody in it: one frame of a recording, RGB."""
    video = cv2.VideoCapture(str(data / "scenes" / name))
    video.set(cv2.CAP_PROP_POS_FRAMES, number)
    read, bgr = video.read()
    video.release()
    if not read:
        raise typer.BadParameter(f"there is no {data / 'scenes' / name}", param_hint="DATA")
    return np.asarray(cv2.cvtColor(cv2.resize(bgr, SIZE), cv2.COLOR_BGR2RGB))
