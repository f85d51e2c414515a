"""Reading the two layouts, and cutting out a validation part."""

import csv
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


def test_hidden_folders_and_files_are_passed_over(tree: Path) -> None:
    for part in ("train", "test"):
        photo = (tree / part / "Blue_Disc" / "00.jpg").read_bytes()
        for name in (".ipynb_checkpoints/00.jpg", "Blue_Disc/._00.jpg"):
            (tree / part / name).parent.mkdir(exist_ok=True)
            (tree / part / name).write_bytes(photo)

    dataset = read_dataset(tree)

    assert dataset.classes == ("Blue_Disc", "Green_Square", "Red_Diamond")
    assert (len(dataset.train), len(dataset.test)) == (36, 12)


def test_a_class_folder_without_a_photo_is_an_error_that_names_it(tree: Path) -> None:
    for name in ("Empty_Bird", "Listed_Bird"):
        (tree / "train" / name).mkdir()
    (tree / "train" / "Listed_Bird" / "list.txt").touch()

    with pytest.raises(DataError, match=r"train has no photo in Empty_Bird, Listed_Bird; put "):
        read_dataset(tree)


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


@pytest.mark.parametrize(
    ("count", "fraction", "few"),
    [(1, 0.25, "1 photo to learn from, too few to hold out 25%"), (3, 0.9, "3 photos to")],
)
def test_a_class_too_small_to_split_is_an_error_that_names_its_folder(
    count: int, fraction: float, few: str
) -> None:
    photos = tuple(Photo(Path("train", "Rare_Bird", f"{number}.jpg"), 0) for number in range(count))

    with pytest.raises(DataError, match=f"^train/Rare_Bird has {few}") as caught:
        split_by_class(photos, fraction, seed=0)
    assert str(caught.value).endswith("; add photos, or hold none out with data.val_fraction=0")


def test_the_species_table_names_classes_and_others_keep_their_own_name(tmp_path: Path) -> None:
    table = tmp_path / "species.csv"
    table.write_text(
        "class,scientific_name,common_name,ebird_code\n"
        "Anna_Hummingbird,Calypte anna,Anna's Hummingbird,annhum\n"
    )

    anna, dodo = species_labels(("Anna_Hummingbird", "Dodo_Bird"), table)

    assert (anna.scientific_name, anna.ebird_code) == ("Calypte anna", "annhum")
    assert (dodo.scientific_name, dodo.dataset_class) == ("Dodo Bird", "Dodo_Bird")


HEADS = "class,scientific_name,common_name,ebird_code"
ANNA = "Anna_Hummingbird,Calypte anna,Anna's Hummingbird,annhum"


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEADS}\n{ANNA}\n",
        f"{HEADS}\r\n{ANNA}\r\n",
        f"{HEADS}\n\n{ANNA}\n,,,\n",
        f"{HEADS}\n{ANNA},\n",
        f"{HEADS},family\n{ANNA}\n",
    ],
    ids=["byte-order-mark", "windows", "blank-lines", "last-comma", "family-left-out"],
)
def test_a_species_table_may_come_from_a_spreadsheet(tmp_path: Path, text: str) -> None:
    (tmp_path / "species.csv").write_bytes(text.encode())

    (anna,) = species_labels(("Anna_Hummingbird",), tmp_path / "species.csv")

    assert (anna.scientific_name, anna.common_name) == ("Calypte anna", "Anna's Hummingbird")
    assert (anna.ebird_code, anna.family) == ("annhum", None)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", f"is empty; its first line must be {HEADS}"),
        ("\ufeff\n".encode(), "is empty; "),
        (HEADS.replace("class,", "").encode(), "line 1 lacks class; it must name the columns, "),
        (HEADS.replace("scientific_name", "latin").encode(), "line 1 lacks scientific_name; "),
        (b"class,scientific_name\n", "line 1 lacks common_name, ebird_code; "),
        (HEADS.replace(",", ";").encode(), "line 1 lacks class, scientific_name, common_name, "),
        (
            f"{HEADS}\n{ANNA}\nMaui_Parrotbill,Pseudonestor xanthophrys,Kiw\u012bkiu".encode(
                "utf-16"
            ),
            "line 1 is not in UTF-8; save the table as CSV in UTF-8",
        ),
        (f"{HEADS}\n{ANNA}\nH\xe9ron,,,".encode("latin-1"), "line 3 is not in UTF-8; "),
        (
            f"{HEADS}\n{ANNA}\nDodo,Raphus cucullatus\n".encode(),
            "line 3 ends before common_name, ebird_code; empty cells need their commas too",
        ),
        (
            f"{HEADS}\n{ANNA}\nDodo,Raphus,Dodo, the,dodo\n".encode(),
            "line 3 has more cells than columns; put names with a comma in quotes",
        ),
        (
            f"{HEADS}\n{ANNA}\nDodo,,,\n{ANNA}\n".encode(),
            "line 4 lists 'Anna_Hummingbird' again; one row for each class",
        ),
        (f'{HEADS}\nDodo,"Raphus,,\n{ANNA}\n'.encode(), "line 3: unexpected end of data; close "),
    ],
    ids=[
        "empty",
        "blank",
        "no-class",
        "no-scientific-name",
        "two-missing",
        "semicolons",
        "utf-16",
        "latin-1",
        "short-row",
        "long-row",
        "twice",
        "open-quote",
    ],
)
def test_a_species_table_that_is_not_whole_is_an_error_that_says_where(
    tmp_path: Path, table: bytes, message: str
) -> None:
    path = tmp_path / "species.csv"
    path.write_bytes(table)

    with pytest.raises(DataError) as caught:
        species_labels(("Anna_Hummingbird",), path)

    assert str(caught.value).startswith(f"species table {path}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_that_cannot_be_printed_is_an_error_that_names_it() -> None:
    with pytest.raises(DataError, match=r"class 'Jay\\x1b\[5m': .* cannot be printed"):
        species_labels(("Wren", "Jay\x1b[5m"), None)


def test_every_class_of_cub200_is_a_bird_by_its_names(repository: Path) -> None:
    tables = repository / "configs" / "data"
    rows = {
        size: list(csv.DictReader((tables / f"cub{size}_species.csv").open(newline="")))
        for size in (100, 200)
    }
    assert {size: len({row["class"] for row in found}) for size, found in rows.items()} == {
        100: 100, 200: 200,
    }  # fmt: skip
    of_200 = {row["class"]: row for row in rows[200]}
    for row in rows[100]:
        # There are no terns among the hundred.
        row["family"] = row["family"].replace("(gull)", "(gull or tern)")
        assert of_200[row["class"]] == row
    names = {row["scientific_name"] for row in rows[200]}
    assert len(names) == 200
    genera = [name for name in names if " " not in name]
    assert sorted(genera) == ["Chordeiles", "Fregata", "Geococcyx", "Sayornis"]
    families: dict[str, set[str]] = {}
    for row in rows[200]:
        families.setdefault(row["family"].partition(" ")[0], set()).add(row["family"])
    assert all(len(spellings) == 1 for spellings in families.values())
