"""What an epoch shows depends on seed and epoch alone; evaluation is the device's own view."""

from pathlib import Path

import numpy as np
import pytest
import torch

from birdedge.runtime.errors import ImageError
from birdedge.runtime.preprocess import Preprocess, read_image
from birdedge.train.augment import Augment
from birdedge.train.data import BirdData, SeededOrder, read_photo
from birdedge.train.layouts import Photo, read_dataset


def epoch_of(root: Path, epoch: int, workers: int) -> tuple[torch.Tensor, torch.Tensor]:
    data = BirdData(
        read_dataset(root),
        Preprocess(input_size=(32, 32)),
        Augment(min_scale=0.3, color=0.4, rand_augment=9, erase=0.5),
        batch_size=8,
        workers=workers,
        val_fraction=0.25,
    )
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_the_number_of_workers_does_not_change_what_an_epoch_shows(tree: Path) -> None:
    alone, labels = epoch_of(tree, epoch=4, workers=0)
    torch.manual_seed(99)  # what happened elsewhere must not matter either
    shared, shared_labels = epoch_of(tree, epoch=4, workers=2)

    assert torch.equal(alone, shared)
    assert torch.equal(labels, shared_labels)


def test_another_epoch_shows_other_views_in_another_order(tree: Path) -> None:
    first, _ = epoch_of(tree, epoch=0, workers=0)
    second, _ = epoch_of(tree, epoch=1, workers=0)

    assert not torch.equal(first, second)


def test_an_epoch_asks_for_every_photo_once() -> None:
    order = SeededOrder(count=10, seed=0)

    assert sorted(index for index, _ in order) == list(range(10))
    assert len({seed for _, seed in order}) == 10


def test_evaluation_batches_are_what_the_device_sees(tree: Path) -> None:
    preprocess = Preprocess(input_size=(48, 40), resize_mode="letterbox")
    data = BirdData(read_dataset(tree), preprocess, Augment(), batch_size=4, workers=0)

    images, labels = next(iter(data.test_dataloader()))

    photo = data.test_photos[0]
    expected = preprocess.fit(read_image(photo.path))
    assert np.array_equal(images[0].permute(1, 2, 0).numpy(), expected)
    assert labels[0] == photo.label


def test_a_box_crops_the_photo_to_the_bird_with_a_margin_inside_the_picture(cub: Path) -> None:
    photo = Photo(read_dataset(cub).train[0].path, 0, box=(10.0, 20.0, 30.0, 20.0))

    assert read_photo(photo, box_margin=0.0).size == (30, 20)
    assert read_photo(photo, box_margin=0.1).size == (36, 26)
    assert read_photo(photo, box_margin=5.0).size == read_image(photo.path).size


def test_a_damaged_photo_is_named(tree: Path) -> None:
    photo = read_dataset(tree).train[0]
    photo.path.write_bytes(photo.path.read_bytes()[:200])

    with pytest.raises(ImageError, match=photo.path.name):
        read_photo(photo, box_margin=0.0)
