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
    chosen = _species(photos, species, rng)
    birds = []
    start = 5.0
    for number in range(count):
        name, photo = _photo(chosen, number, rng)
        stay = float(rng.uniform(3, longest))
        outside = [(-0.3, float(rng.uniform(0.2, 0.7))), (1.3, float(rng.uniform(0.2, 0.7)))]
        path = [outside[int(rng.integers(2))]]
        for _ in range(int(rng.integers(1, 4))):
            perch = float(rng.uniform(0.15, 0.85)), float(rng.uniform(0.25, 0.75))
            path += [perch] * int(rng.integers(2, 5))
        path.append(outside[int(rng.integers(2))])
        size = float(rng.uniform(0.15, 0.45))
        birds.append(Bird(name, photo, start, stay, path, size))
        start += stay + float(rng.uniform(4, 10))
    return birds


def perched(
    photos: Path,
    count: int,
    species: int,
    rng: np.random.Generator,
    perch: tuple[float, float],
    size: float,
) -> list[Bird]:
    """Birds that come to the same perch one after another, some before the last one is long gone.

    Args:
        photos: a folder for each species.
        count: how many birds.
        species: of how many species.
        rng: chooses who comes and when.
        perch: where it is, in shares of width and height.
        size: of a bird, as a share of the frame's height.
    """
    chosen = _species(photos, species, rng)
    birds = []
    start = 5.0
    for number in range(count):
        name, photo = _photo(chosen, number, rng)
        outside = [(-0.6, perch[1]), (1.6, perch[1]), (perch[0], -0.9)]
        path = [outside[int(rng.integers(3))]]
        for _ in range(int(rng.integers(2, 6))):
            x, y = (float(at + rng.normal(0, 0.01)) for at in perch)
            path += [(x, y)] * int(rng.integers(2, 5))
        path.append(outside[int(rng.integers(3))])
        stay = float(rng.uniform(5, 20))
        birds.append(Bird(name, photo, start, stay, path, size))
        start += stay + float(rng.uniform(0, 8))
    return birds


def _species(photos: Path, count: int, rng: np.random.Generator) -> list[tuple[str, list[Path]]]:
    """So many species, with the photos of each."""
    found = read_photos(photos)
    by_species: dict[str, list[Path]] = {}
    for file, name in zip(found.paths, found.species, strict=True):
        by_species.setdefault(name, []).append(file)
    names = list(by_species)
    chosen = [names[number] for number in rng.choice(len(names), count, replace=False)]
    return [(name, by_species[name]) for name in chosen]


def _photo(
    species: list[tuple[str, list[Path]]], number: int, rng: np.random.Generator
) -> tuple[str, NDArray[np.uint8]]:
    """Any photo of the species whose turn it is, RGB."""
    name, files = species[number % len(species)]
    photo = Image.open(files[int(rng.integers(len(files)))]).convert("RGB")
    return name, np.asarray(photo)


def still(data: Path, name: str, number: int) -> NDArray[np.uint8]:
    """A scene with nobody in it: one frame of a recording, RGB."""
    video = cv2.VideoCapture(str(data / "scenes" / name))
    video.set(cv2.CAP_PROP_POS_FRAMES, number)
    read, bgr = video.read()
    video.release()
    if not read:
        raise typer.BadParameter(f"there is no {data / 'scenes' / name}", param_hint="DATA")
    return np.asarray(cv2.cvtColor(cv2.resize(bgr, SIZE), cv2.COLOR_BGR2RGB))
