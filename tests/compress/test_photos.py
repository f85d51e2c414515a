from collections import Counter
from pathlib import Path

import pytest

from birdedge.compress.photos import Photos, draw_by_class
from birdedge.runtime.errors import CheckpointError, DataError
from birdedge.train.layouts import Photo

PHOTOS = tuple(Photo(Path(f"{n}.png"), label) for label, n in [(i % 5, i) for i in range(60)])


def test_calibration_photos_show_every_class_equally_often() -> None:
    drawn = draw_by_class(PHOTOS, 20)
    assert Counter(photo.label for photo in drawn) == dict.fromkeys(range(5), 4)
    assert len(set(drawn)) == 20


def test_calibration_photos_are_the_same_for_the_same_seed() -> None:
    assert draw_by_class(PHOTOS, 12, seed=4) == draw_by_class(PHOTOS, 12, seed=4)
    assert draw_by_class(PHOTOS, 12, seed=4) != draw_by_class(PHOTOS, 12, seed=5)


def test_asking_for_more_photos_than_there_are_gives_all() -> None:
    assert sorted(photo.path for photo in draw_by_class(PHOTOS, 999)) == sorted(
        photo.path for photo in PHOTOS
    )


@pytest.mark.parametrize(("photos", "count"), [((), 5), (PHOTOS, 0)])
def test_drawing_nothing_is_refused(photos: tuple[Photo, ...], count: int) -> None:
    with pytest.raises(DataError, match="cannot draw"):
        draw_by_class(photos, count)


def test_validation_photos_are_those_that_training_held_out(trained) -> None:
    photos = Photos.of(trained.info)
    assert (len(photos.train), len(photos.val), len(photos.test)) == (42, 18, 24)
    assert not {photo.path for photo in photos.train} & {photo.path for photo in photos.val}
    assert photos.as_trained


def test_changed_training_photos_are_noticed(trained) -> None:
    provenance = trained.info.provenance.model_copy(update={"data_digest": "0" * 64})
    assert not Photos.of(trained.info.model_copy(update={"provenance": provenance})).as_trained


def test_data_with_other_classes_is_refused(trained, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "a.png").touch()
    with pytest.raises(CheckpointError, match=r"knows 3 classes, .* has 2"):
        Photos.of(trained.info, tmp_path)


def test_data_with_renamed_classes_is_refused(trained, tmp_path: Path) -> None:
    for name in ("blue_square", "green_bar", "violet_ring"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "a.png").touch()
    with pytest.raises(CheckpointError, match=r"'red_disc' where .* has 'violet_ring'"):
        Photos.of(trained.info, tmp_path)


def test_checkpoint_that_does_not_say_how_it_was_split_is_refused(trained) -> None:
    provenance = trained.info.provenance.model_copy(update={"config": {}})
    with pytest.raises(CheckpointError, match="does not say how its photos were cut"):
        Photos.of(trained.info.model_copy(update={"provenance": provenance}))
