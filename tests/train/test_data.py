"""What an epoch shows depends on seed and epoch alone; evaluation is the device's own view."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from birdedge.runtime.errors import ImageError
from birdedge.runtime.preprocess import Preprocess, read_image
from birdedge.train.augment import Augment
from birdedge.train.data import BirdData, SeededOrder, read_photo
from birdedge.train.layouts import Photo, read_dataset

Box = tuple[float, float, float, float]


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


# How EXIF tells a viewer to turn what is stored: the tag's value, and what undoes it.
_TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize(("orientation", "turn"), _TURNED.items())
def test_a_box_is_of_the_stored_pixels_and_the_bird_comes_out_upright(
    tmp_path: Path, orientation: int, turn: Image.Transpose | None, suffix: str
) -> None:
    stored = Image.new("RGB", (80, 48), "grey")
    # A bird, red in front and blue behind, that lies beyond the lower edge once it is turned.
    stored.paste("red", (56, 8, 64, 24))
    stored.paste("blue", (64, 8, 72, 24))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"turned.{suffix}"
    stored.save(path, exif=exif, **({} if suffix == "png" else {"quality": 100}))

    seen = read_photo(Photo(path, 0, box=(56.0, 8.0, 16.0, 16.0)), box_margin=0.0)

    bird = stored.crop((56, 8, 72, 24))
    expected = bird if turn is None else bird.transpose(turn)
    assert seen.size == (16, 16)
    assert np.abs(np.asarray(seen, float) - np.asarray(expected, float)).mean() < 16


def test_a_box_with_a_margin_is_turned_with_its_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = tmp_path / "turned.jpg"
    Image.new("RGB", (80, 48)).save(path, exif=exif)
    photo = Photo(path, 0, box=(60.0, 10.0, 20.0, 10.0))

    assert read_photo(photo, box_margin=0.0).size == (10, 20)
    # There is nothing to the right of the bird as it is stored.
    assert read_photo(photo, box_margin=0.2).size == (18, 24)


@pytest.mark.parametrize(
    "box",
    [
        (10.2, 20.2, 0.2, 0.2),
        (0.0, 0.0, 0.3, 30.0),
        (79.9, 63.9, 0.9, 0.9),
        (80.6, 64.6, 0.3, 0.3),
    ],
)
def test_a_box_smaller_than_a_pixel_still_shows_one(cub: Path, box: Box) -> None:
    photo = Photo(read_dataset(cub).train[0].path, 0, box=box)

    width, height = read_photo(photo, box_margin=0.0).size

    assert (width, height) == (1, max(1, round(box[3])))
    assert Preprocess(input_size=(8, 8)).fit(read_photo(photo, 0.0)).shape == (8, 8, 3)


def test_a_damaged_photo_is_named(tree: Path) -> None:
    photo = read_dataset(tree).train[0]
    photo.path.write_bytes(photo.path.read_bytes()[:200])

    with pytest.raises(ImageError, match=photo.path.name):
        read_photo(photo, box_margin=0.0)
