"""Labels files: what a line means, and which files are refused."""

from pathlib import Path

import pytest

from birdedge.runtime.errors import BundleError
from birdedge.runtime.labels import Label, read_labels


@pytest.mark.parametrize(
    ("line", "scientific", "common", "name"),
    [
        ("Cyanocitta cristata (Blue Jay)", "Cyanocitta cristata", "Blue Jay", "Blue Jay"),
        ("  Calypte anna (Anna's Hummingbird)\n", "Calypte anna", "Anna's Hummingbird", None),
        ("Larus sp. (Gull (unknown))", "Larus sp.", "Gull (unknown)", "Gull (unknown)"),
        ("Cyanocitta cristata", "Cyanocitta cristata", "", "Cyanocitta cristata"),
        ("background", "background", "", "background"),
    ],
)
def test_a_line_is_a_scientific_name_and_perhaps_a_common_one(
    line: str, scientific: str, common: str, name: str | None
) -> None:
    label = Label.parse(line)

    assert (label.scientific_name, label.common_name) == (scientific, common)
    assert label.name == (name or common)


def test_a_label_is_written_as_it_is_read() -> None:
    for line in ("Cyanocitta cristata (Blue Jay)", "Cyanocitta cristata"):
        assert str(Label.parse(line)) == line


def test_only_background_is_background() -> None:
    assert Label.parse("background").is_background
    assert not Label.parse("Cyanocitta cristata (Blue Jay)").is_background


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_is_read_in_class_order(tmp_path: Path, newline: str) -> None:
    lines = ["Sitta europaea (Kleiber)", "Parus major (Große Kohlmeise)", "background"]
    path = tmp_path / "labels.txt"
    path.write_bytes((newline.join(lines) + newline).encode())

    assert [str(label) for label in read_labels(path)] == lines


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_text("Parus major (Great Tit)\n", encoding="utf-8-sig")

    assert read_labels(path)[0].scientific_name == "Parus major"


@pytest.mark.parametrize(
    "name",
    [
        "Große Kohlmeise",
        "Cerceta colorada (ñ) ♂",
        "オオルリ\u3000雄",
        "Merle\u00a0noir",
        "چرخ\u200cریسک بزرگ",
    ],
)
def test_letters_and_spaces_of_any_script_are_kept(tmp_path: Path, name: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(f"Parus major ({name})\n", encoding="utf-8")

    assert [label.common_name for label in read_labels(path)] == [name]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"Parus major\n\nSitta europaea\n", "line 2 is blank"),
        (b"\nParus major\n", "line 1 is blank"),
        (b"\xff\xfe\x00binary", "is not a UTF-8 text file"),
        (b"Parus major\nPica \x1b[2Jpica\n", r"line 2: scientific_name: .*U\+001B in it"),
        (b"Parus major (Great\tTit)\n", r"line 1: common_name: .*U\+0009 in it"),
        ("Parus major (Great \u202etiT)\n".encode(), r"U\+202E in it cannot be printed"),
    ],
)
def test_a_file_that_would_shift_classes_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)

    with pytest.raises(BundleError, match=reason):
        read_labels(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere\.txt: No such file"):
        read_labels(tmp_path / "nowhere.txt")
    with pytest.raises(BundleError, match="Is a directory"):
        read_labels(tmp_path)
