"""Reading the two layouts, and cutting out a validation part."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from birdedge.runtime.errors import DataError
from birdedge.train.layouts import Photo, read_dataset, species_labels, split_by_class


def test_a_tree_gives_every_photo_the_class_of_its_folder(tree: Path) -> None:
    dataset = read_dataset(tree)

    assert dataset.classes == ("Blue_Disc", "Green_Square", "Red_Diamond")
    assert Counter(photo.label for photo in dataset.train) == {0: 12, 1: 12, 2: 12}
    assert Counter(photo.label for photo in dataset.test) == {0: 4, 1: 4, 2: 4}
    for photo in dataset.train:
        assert photo.path.parent.name == dataset.classes[photo.label]
        assert photo.box is None


def test_files_that_are_not_pictures_are_passed_over(tree: Path) -> None:
    (tree / "train" / "Blue_Disc" / "Thumbs.db").write_bytes(b"x")

    assert len(read_dataset(tree).train) == 36


def test_a_tree_needs_no_test_part(tree: Path) -> None:
    (tree / "test").rename(tree.parent / "elsewhere")

    assert read_dataset(tree).test == ()


def test_the_official_layout_gives_split_names_and_boxes(cub: Path) -> None:
    dataset = read_dataset(cub)

    assert dataset.classes == ("Blue_Disc", "Green_Square", "Red_Diamond")
    assert len(dataset.train) == len(dataset.test) == 12
    for photo in dataset.train + dataset.test:
        assert photo.box is not None
        left, top, width, height = photo.box
        with Image.open(photo.path) as image:
            middle = image.getpixel((int(left + width / 2), int(top + height / 2)))
        assert isinstance(middle, tuple)
        # Blue, green and red birds are drawn in the colour of their class.
        assert max(range(3), key=lambda channel: middle[channel]) == 2 - photo.label


def test_a_folder_that_is_not_there_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data at .*nowhere; .*data\.root"):
        read_dataset(tmp_path / "nowhere")


def test_a_folder_in_neither_layout_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither images\.txt .* nor train/"):
        read_dataset(tmp_path)


def test_a_train_part_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train" / "Robin").mkdir(parents=True)

    with pytest.raises(DataError, match="no class folder with pictures"):
        read_dataset(tmp_path)


def test_a_class_that_only_the_test_part_has_is_an_error(tree: Path) -> None:
    (tree / "test" / "Dodo").mkdir()

    with pytest.raises(DataError, match="has not: Dodo"):
        read_dataset(tree)


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("bounding_boxes", lambda text: text.partition("\n")[2], "image 1 is in images.txt or"),
        ("images", lambda text: text + "1 again.jpg\n", "lists an id twice"),
        ("bounding_boxes", lambda text: text.replace("1 ", "1 wide ", 1), "not in CUB"),
        ("image_class_labels", lambda text: text.replace("1 1", "1 9", 1), "class '9' is missing"),
    ],
)
def test_lists_that_disagree_are_an_error(cub: Path, name: str, edit, message: str) -> None:
    path = cub / f"{name}.txt"
    path.write_text(edit(path.read_text()))

    with pytest.raises(DataError, match=message):
        read_dataset(cub)


def test_a_missing_list_is_an_error(cub: Path) -> None:
    (cub / "train_test_split.txt").unlink()

    with pytest.raises(DataError, match=r"cannot read .*train_test_split\.txt"):
        read_dataset(cub)


def test_the_validation_part_takes_the_same_share_of_every_class(tree: Path) -> None:
    photos = read_dataset(tree).train

    kept, held_out = split_by_class(photos, 0.25, seed=0)

    assert Counter(photo.label for photo in held_out) == {0: 3, 1: 3, 2: 3}
    assert set(kept).isdisjoint(held_out)
    assert set(kept) | set(held_out) == set(photos)


def test_the_seed_decides_the_validation_part(tree: Path) -> None:
    photos = read_dataset(tree).train

    assert split_by_class(photos, 0.25, seed=3) == split_by_class(photos, 0.25, seed=3)
    assert split_by_class(photos, 0.25, seed=3) != split_by_class(photos, 0.25, seed=4)


def test_a_class_of_one_photo_cannot_be_split() -> None:
    with pytest.raises(DataError, match="class 0 has 1 photos, too few"):
        split_by_class((Photo(Path("only.jpg"), 0),), 0.1, seed=0)


def test_the_species_table_names_classes_and_others_keep_their_own_name(tmp_path: Path) -> None:
    table = tmp_path / "species.csv"
    table.write_text(
        "class,scientific_name,common_name,ebird_code\n"
        "Anna_Hummingbird,Calypte anna,Anna's Hummingbird,annhum\n"
    )

    anna, dodo = species_labels(("Anna_Hummingbird", "Dodo_Bird"), table)

    assert (anna.scientific_name, anna.ebird_code) == ("Calypte anna", "annhum")
    assert (dodo.scientific_name, dodo.dataset_class) == ("Dodo Bird", "Dodo_Bird")
