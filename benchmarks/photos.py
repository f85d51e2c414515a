"""The photos that contenders are compared on, and which species each of them shows."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..runtime.errors import DataError
from ..runtime.labels import Label, names_of
from ..runtime.preprocess import read_image
from ..runtime.sources import is_hidden
from ..runtime.sources.images import PICTURE_SUFFIXES
from ..train.layouts import Photo
from ..train.provenance import data_digest


@dataclass(frozen=True)
class Photos:
    """Photos in their order.

    Attributes:
        name: of the folder.
        root: that their names begin from.
        paths: their files.
        species: the folder that each lies in; empty where they are not sorted by species.
    """

    name: str
    root: Path
    paths: tuple[Path, ...]
    species: tuple[str, ...]

    def check(self) -> None:
        """Decode all once: what cannot be read is to be known before an hour of measuring.

        Raises:
            ImageError: one of them cannot.
        """
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for _ in pool.map(lambda path: read_image(path).size, self.paths):
                pass

    def digest(self) -> str:
        """SHA-256 over their names, below the folder, and sizes; changes with the set."""
        return data_digest(tuple(Photo(path, -1) for path in self.paths), self.root)

    def some(self, count: int) -> "Photos":
        """So many of them, evenly spread."""
        if count >= len(self.paths):
            return self
        chosen = [number * len(self.paths) // count for number in range(count)]
        return Photos(
            self.name,
            self.root,
            tuple(self.paths[number] for number in chosen),
            tuple(self.species[number] for number in chosen) if self.species else (),
        )


def read_photos(folder: Path) -> Photos:
    """Read a folder of photos: ``SPECIES/*.jpg`` (also below ``test/``), or photos alone.

    Raises:
        DataError: there is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    root = folder / "test" if (folder / "test").is_dir() else folder
    pictures = _pictures(root.glob("*/*"))
    sorted_ = {path: path.parent.name for path in pictures if not is_hidden(path.parent.name)}
    if sorted_:
        return Photos(folder.name, root, tuple(sorted_), tuple(sorted_.values()))
    alone = tuple(_pictures(root.glob("*")))
    if not alone:
        raise DataError(f"{folder} holds no photos; SPECIES/*.jpg, or *.jpg, are looked for")
    return Photos(folder.name, root, alone, ())


def truth(species: Sequence[str], labels: Sequence[Label], known: Sequence[Label]) -> list[int]:
    """Class numbers of photos in a model's own order; -1 where it does not know the species.

    A folder is a species' name in the model's training data, or any that people have for it; and
    where another model knows more names for what is in that folder, one of those.

    Args:
        species: the photos' folders.
        labels: the model's.
        known: of other models, in whose names a folder may be translated.
    """
    numbers = {name: number for number, label in enumerate(labels) for name in _names(label)}
    others = {name: label for label in known for name in _names(label)}

    def number_of(folder: str) -> int:
        name = _plain(folder)
        if name not in numbers and name in others:
            name = next((other for other in _names(others[name]) if other in numbers), name)
        return numbers.get(name, -1)

    found = {folder: number_of(folder) for folder in set(species)}
    return [found[folder] for folder in species]


def counterparts(labels: Sequence[Label], others: Sequence[Label]) -> list[int]:
    """For each of a model's classes, another model's of the same species; -1 where it has none."""
    numbers = {name: number for number, label in enumerate(others) for name in _names(label)}
    return [
        next((numbers[name] for name in _names(label) if name in numbers), -1) for label in labels
    ]


def _names(label: Label) -> list[str]:
    names = [*names_of(label), *([label.dataset_class] if label.dataset_class else [])]
    return [_plain(name) for name in names]


def _plain(name: str) -> str:
    """Folders have underscores where names have spaces, hyphens and apostrophes."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _pictures(paths: Iterator[Path]) -> Iterator[Path]:
    for path in sorted(paths):
        if path.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(path.name):
            yield path
