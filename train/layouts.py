"""Where the photos of a data set lie, which species each shows, and which part it belongs to."""

import csv
import io
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ..runtime.errors import DataError
from ..runtime.labels import Label
from ..runtime.sources import is_hidden
from ..runtime.texts import what_is_wrong

T = TypeVar("T")

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

_COLUMNS = ("class", "scientific_name", "common_name", "ebird_code")


@dataclass(frozen=True)
class Photo:
    """One labelled photo.

    Attributes:
        path: the picture file.
        label: class number.
        box: the bird's bounding box as left, top, width, height, if it is known, in pixels as they
            are stored, whichever side of the camera was up.
    """

    path: Path
    label: int
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Dataset:
    """Photos of a data set with the names of their classes, in class order."""

    classes: tuple[str, ...]
    train: tuple[Photo, ...]
    test: tuple[Photo, ...]


def read_dataset(root: Path) -> Dataset:
    """Read a data set in either of the two layouts that birdedge knows.

    * the official ``CUB_200_2011`` folder: ``images.txt``, ``train_test_split.txt``, ...
    * a tree ``train/<class>/*.jpg`` with, where there is one, ``test/<class>/*.jpg``; names that
      begin with a dot are passed over.

    Raises:
        DataError: the folder is missing, empty, or in neither layout, or a class has no photo to
            learn from.
    """
    if not root.is_dir():
        raise DataError(f"no data at {root}; give its folder with data.root=DIR")
    if (root / "images.txt").is_file():
        return _read_cub(root)
    if (root / "train").is_dir():
        return _read_tree(root)
    raise DataError(
        f"{root} holds neither images.txt (CUB-200-2011) nor train/<class>/ folders; "
        "`birdedge data prepare` unpacks the official archive"
    )


def _read_tree(root: Path) -> Dataset:
    classes = tuple(_class_folders(root / "train"))
    train = tuple(_tree_photos(root / "train", classes))
    if not train:
        raise DataError(f"{root / 'train'} has no class folder with pictures in it")
    learned = {photo.label for photo in train}
    bare = [name for label, name in enumerate(classes) if label not in learned]
    if bare:
        raise DataError(
            f"{root / 'train'} has no photo in {', '.join(bare)}; put photos there, or remove what "
            "is no species"
        )
    strangers = [name for name in _class_folders(root / "test") if name not in classes]
    if strangers:
        raise DataError(f"{root / 'test'} has classes that train/ has not: {', '.join(strangers)}")
    return Dataset(classes, train, tuple(_tree_photos(root / "test", classes)))


def _class_folders(part: Path) -> list[str]:
    folders = (path for path in part.glob("*") if path.is_dir())
    return sorted(folder.name for folder in folders if not is_hidden(folder.name))


def _tree_photos(part: Path, classes: tuple[str, ...]) -> Iterator[Photo]:
    for label, name in enumerate(classes):
        for path in sorted((part / name).glob("*")):
            if path.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(path.name):
                yield Photo(path, label)


def _read_cub(root: Path) -> Dataset:
    names = _read_table(root / "classes.txt", lambda cells: cells[0])
    paths = _read_table(root / "images.txt", lambda cells: cells[0])
    labels = _read_table(root / "image_class_labels.txt", lambda cells: cells[0])
    in_train = _read_table(root / "train_test_split.txt", lambda cells: cells[0] == "1")
    boxes = _read_table(root / "bounding_boxes.txt", _as_box)
    for other in (labels, in_train, boxes):
        if other.keys() != paths.keys():
            odd = min(other.keys() ^ paths.keys())
            raise DataError(
                f"{root}: image {odd} is in images.txt or another list, but not in both"
            )
    number = {class_id: index for index, class_id in enumerate(names)}
    parts: dict[bool, list[Photo]] = {True: [], False: []}
    try:
        for image_id, path in paths.items():
            photo = Photo(root / "images" / path, number[labels[image_id]], boxes[image_id])
            parts[in_train[image_id]].append(photo)
    except KeyError as error:
        raise DataError(f"{root}: class {error} is missing from classes.txt") from None
    # "001.Black_footed_Albatross" carries its class number in front.
    classes = tuple(name.partition(".")[2] or name for name in names.values())
    return Dataset(classes, tuple(parts[True]), tuple(parts[False]))


def _as_box(cells: list[str]) -> tuple[float, float, float, float]:
    left, top, width, height = (float(cell) for cell in cells)
    return (left, top, width, height)


def _read_table(path: Path, parse: Callable[[list[str]], T]) -> dict[str, T]:
    """CUB's lists: an id, a space, and the values, one row a line."""
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line]
        table = {row[0]: parse(row[1:]) for row in rows}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except (IndexError, ValueError) as error:
        raise DataError(f"{path} is not in CUB-200-2011's form: {error}") from error
    if len(table) != len(rows):
        raise DataError(f"{path} lists an id twice")
    return table


def split_by_class(
    photos: tuple[Photo, ...], fraction: float, seed: int
) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    """Cut a validation part out of a training part, the same share from every class.

    The choice depends on the seed and the order of the photos alone.

    Args:
        photos: the training part.
        fraction: share of each class, and at least one photo of it; 0 holds nothing out.
        seed: another one holds out others.

    Returns:
        What remains for training, and the validation part; both in the order given.

    Raises:
        DataError: a class has too few photos to leave one on either side.
    """
    if fraction == 0:
        return photos, ()
    by_class: dict[int, list[int]] = defaultdict(list)
    for index, photo in enumerate(photos):
        by_class[photo.label].append(index)
    held_out: set[int] = set()
    chooser = random.Random(seed)
    for label in sorted(by_class):
        indices = by_class[label]
        count = max(1, round(len(indices) * fraction))
        if count >= len(indices):
            # In both layouts, a class is a folder.
            folder = photos[indices[0]].path.parent
            few = "1 photo" if len(indices) == 1 else f"{len(indices)} photos"
            raise DataError(
                f"{folder} has {few} to learn from, too few to hold out {fraction:.0%}; "
                "add photos, or hold none out with data.val_fraction=0"
            )
        held_out.update(chooser.sample(indices, count))
    kept = tuple(photo for index, photo in enumerate(photos) if index not in held_out)
    return kept, tuple(photos[index] for index in sorted(held_out))


def species_labels(classes: tuple[str, ...], table: Path | None) -> list[Label]:
    """Give each class of a data set its species' names.

    Args:
        classes: the data set's own class names, such as ``Anna_Hummingbird``.
        table: a CSV with the columns ``class,scientific_name,common_name,ebird_code`` and, if it
            likes, ``family``; a class it does not list keeps its own name.

    Raises:
        DataError: the table cannot be read, lacks a column, has too few or too many cells in a
            row, or lists a class twice.
    """
    rows = {} if table is None else _read_species(table)
    labels = []
    for name in classes:
        try:
            labels.append(_label(name, rows.get(name)))
        except ValidationError as error:
            where = f"class {name!r}" if table is None else f"class {name!r} or {table}"
            raise DataError(f"{where}: {what_is_wrong(error)}") from error
    return labels


def _read_species(table: Path) -> dict[str, dict[str, str]]:
    """The rows of a species table by class."""
    # Strict, or else a quotation mark that is left open would swallow the rows below it.
    reader = csv.DictReader(io.StringIO(_text_of(table), newline=""), strict=True)
    rows: dict[str, dict[str, str]] = {}
    try:
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(
                f"species table {table}, line 1 lacks {', '.join(missing)}; it must name the "
                f"columns, with commas between them: {','.join(_COLUMNS)}"
            )
        for row in reader:
            where = f"species table {table}, line {reader.line_num}"
            missing = [name for name in _COLUMNS if row[name] is None]
            if missing:
                raise DataError(
                    f"{where} ends before {', '.join(missing)}; empty cells need their commas too"
                )
            if any(row.get(None, ())):
                raise DataError(
                    f"{where} has more cells than columns; put names with a comma in quotes"
                )
            if row["class"] in rows:
                raise DataError(f"{where} lists {row['class']!r} again; one row for each class")
            rows[row["class"]] = row
    except csv.Error as error:
        line = reader.reader.line_num
        raise DataError(
            f"species table {table}, line {line}: {error}; close all quotation marks"
        ) from error
    return rows


def _text_of(table: Path) -> str:
    try:
        # Excel writes a byte-order mark.
        text = table.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read species table {table}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"species table {table}, line {line} is not in UTF-8; save the table as CSV in UTF-8"
        ) from error
    if not text.strip():
        raise DataError(
            f"species table {table} is empty; its first line must be {','.join(_COLUMNS)}"
        )
    return text


def _label(class_name: str, row: dict[str, str] | None) -> Label:
    if row is None:
        return Label(scientific_name=class_name.replace("_", " "), dataset_class=class_name)
    return Label(
        scientific_name=row["scientific_name"],
        common_name=row["common_name"],
        ebird_code=row["ebird_code"] or None,
        dataset_class=class_name,
        family=row.get("family") or None,
    )
