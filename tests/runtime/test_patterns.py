"""Patterns name what a shell would, in order, each picture once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from birdedge.runtime.gather import expand
from birdedge.runtime.sources import Picture

Pictures = Callable[..., list[Picture]]


def test_a_glob_gives_what_it_matches_in_order(
    pictures: Pictures, draw: Callable[..., Path], tmp_path: Path
) -> None:
    draw("p/x/2.png"), draw("p/1.png"), draw("p/3.jpg")

    names = [Path(picture.name).name for picture in pictures(tmp_path / "p" / "**" / "*.png")]

    assert names == ["1.png", "2.png"]


def test_a_glob_names_every_picture_once(
    pictures: Pictures, draw: Callable[..., Path], tmp_path: Path
) -> None:
    draw("p/x/y/2.png"), draw("p/1.png"), draw("p/x/3.jpg")

    names = [Path(picture.name).name for picture in pictures(tmp_path / "p" / "**")]

    assert names == ["1.png", "3.jpg", "2.png"]


def test_a_glob_goes_through_no_links_to_folders(
    pictures: Pictures, draw: Callable[..., Path], tmp_path: Path
) -> None:
    """Through two that lead upwards, there are more ways than anybody lives to see."""
    draw("two/1.png"), draw("two/x/2.png"), draw("far/3.png")
    for name in ("l1", "l2", "x/l3"):
        (tmp_path / "two" / name).symlink_to(tmp_path / "two")
    (tmp_path / "two" / "far").symlink_to(tmp_path / "far")

    def names(pattern: str) -> list[str]:
        return [Path(picture.name).name for picture in pictures(f"{tmp_path}/{pattern}")]

    assert names("two/**/*.png") == names("two/**/**/*.png") == ["1.png", "2.png"]
    assert names("two/**") == names("two/**/*") == ["1.png", "2.png"]
    assert names("two/**/*/") == ["2.png"]
    # One that is named, or looked for level by level, is meant.
    assert names("two/far/*.png") == names("two/**/far/*") == names("two/f*/*.png") == ["3.png"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["1.png"]),
        ("./*.png", ["./1.png"]),
        ("**/*.png", ["1.png", "x/2.png", "x/y/3.png"]),
        ("**", ["1.png", "x"]),
        ("x/**", ["x/"]),
        ("*/*/", ["x/y/"]),
        ("**/y/*", ["x/y/3.png"]),
        ("x/../[0-9].png", ["x/../1.png"]),
        ("**/.*.png", [".0.png"]),
        ("nowhere/*", ["nowhere/*"]),
        ("1.png/*", ["1.png/*"]),
    ],
)
def test_a_pattern_names_what_a_shell_would(
    draw: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    pattern: str, expected: list[str],
) -> None:  # fmt: skip
    draw("1.png"), draw("x/2.png"), draw("x/y/3.png"), draw(".0.png"), draw(".h/4.png")
    (tmp_path / "x" / "circle").symlink_to("circle")
    monkeypatch.chdir(tmp_path)

    assert expand([pattern]) == expected
