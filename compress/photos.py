"""The photos that compression looks at, as the device would see them."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ..runtime.errors import CheckpointError, DataError
from ..runtime.preprocess import Preprocess
from ..train.checkpoint import CheckpointInfo
from ..train.data import read_photo
from ..train.layouts import Photo, read_dataset, split_by_class
from ..train.provenance import data_digest
from ..train.settings import Data

_BATCH = 32

_ENOUGH = 500
"""So many photos tell a target's agreement to a point or so."""


@dataclass(frozen=True)
class Photos:
    """A checkpoint's photos, cut exactly as its training cut them.

    Attributes:
        name: of the data set.
        root: its folder.
        train: trained on; calibration photos are drawn from here.
        val: held out from training; temperature, threshold and the accepted drop go by these.
        test: for reporting only; may be empty.
        box_margin: as in `read_photo`.
        as_trained: whether the training part still has the photos that it had in training; with
            others the cut falls elsewhere.
    """

    name: str
    root: Path
    train: tuple[Photo, ...]
    val: tuple[Photo, ...]
    test: tuple[Photo, ...]
    box_margin: float
    as_trained: bool

    @classmethod
    def of(cls, info: CheckpointInfo, root: Path | None = None) -> "Photos":
        """Find the photos that a checkpoint was trained on.

        Args:
            info: the checkpoint's description.
            root: where they lie now, if not where they lay then.

        Raises:
            CheckpointError: it does not say how its photos were cut, or has other classes.
            DataError: the photos are not there.
        """
        try:
            data = Data.of(info.provenance.config)
        except (ValidationError, KeyError) as error:
            raise CheckpointError(
                "this checkpoint does not say how its photos were cut into training and "
                "validation; make one with `birdedge train`"
            ) from error
        root = data.root if root is None else root
        dataset = read_dataset(root)
        _check_classes(info, dataset.classes, root)
        train, val = split_by_class(dataset.train, data.val_fraction, data.split_seed)
        known = info.provenance.data_digest
        return cls(
            name=data.name or root.name,
            root=root,
            train=train,
            val=val,
            test=dataset.test,
            box_margin=data.box_margin,
            as_trained=not known or known == data_digest(dataset.train, root),
        )


def _check_classes(info: CheckpointInfo, classes: tuple[str, ...], root: Path) -> None:
    if len(info.labels) != len(classes):
        raise CheckpointError(
            f"the checkpoint knows {len(info.labels)} classes, {root} has {len(classes)}; "
            "give the data it was trained on with --data"
        )
    if renamed := info.renamed_class(classes):
        raise CheckpointError(
            f"the checkpoint knows {renamed[0]!r} where {root} has {renamed[1]!r}; "
            "give the data it was trained on with --data"
        )


def check_held_out(photos: Photos) -> None:
    """See that there are photos by which validation can decide.

    Raises:
        CheckpointError: there are none.
    """
    if not photos.val:
        raise CheckpointError(
            "this network learned from all photos, so none are left to judge it by or to fit the "
            "temperature on; train a twin with photos held out (data.val_fraction=0.1) and give it "
            "to `birdedge compress` with --twin"
        )


def say_of_photos(photos: Photos, judged: Photos, say: Callable[[str], None]) -> None:
    """Warn of what makes figures worth less than they seem.

    Args:
        photos: whose test photos report.
        judged: whose validation photos decide.
        say: told what is wrong, a line at a time.
    """
    if not (photos.as_trained and judged.as_trained):
        say(
            f"warning: {photos.root} is not as it was in training, so photos that were trained "
            "on may be among the validation photos and flatter their figures"
        )
    if (count := len(judged.val) + len(photos.test)) < _ENOUGH:
        say(
            f"warning: {count} photos to verify targets on; their figures are rough with fewer "
            f"than {_ENOUGH}"
        )


def batches(
    photos: tuple[Photo, ...], preprocess: Preprocess, box_margin: float
) -> Iterator[NDArray[np.uint8]]:
    """Photos through the device's own preprocessing, uint8 ``[up to 32, h, w, 3]`` at a time.

    Raises:
        ImageError: a photo cannot be read.
    """
    for start in range(0, len(photos), _BATCH):
        part = photos[start : start + _BATCH]
        yield np.stack([preprocess.fit(read_photo(photo, box_margin)) for photo in part])


def labels_of(photos: tuple[Photo, ...]) -> NDArray[np.int64]:
    """Class numbers ``[N]``."""
    return np.asarray([photo.label for photo in photos], dtype=np.int64)


def draw_by_class(photos: tuple[Photo, ...], count: int, seed: int = 0) -> tuple[Photo, ...]:
    """Draw photos so that every class is met equally often, or as nearly as there are photos.

    Args:
        photos: to draw from, each at most once.
        count: how many; all of them, if there are not as many.
        seed: the same one draws the same photos.

    Raises:
        DataError: there is nothing to draw.
    """
    if count < 1 or not photos:
        raise DataError(f"cannot draw {count} calibration photos from {len(photos)}")
    chooser = random.Random(seed)
    shuffled = chooser.sample(photos, len(photos))
    met: dict[int, int] = defaultdict(int)
    turns = []
    for photo in shuffled:
        turns.append((met[photo.label], photo))
        met[photo.label] += 1
    # The sort is stable: within a turn the classes keep their shuffled order.
    turns.sort(key=lambda turn: turn[0])
    return tuple(photo for _, photo in turns[:count])
