"""What `birdedge classify` prints: a table on a terminal, lines into pipes and files."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from colours import BLUE, RED
from terminals import read_terminal, watched

from birdedge.runtime.bundle import ModelBundle

Birdedge = Callable[..., subprocess.CompletedProcess[str]]
Draw = Callable[..., Path]


@pytest.fixture
def model(bundle: ModelBundle) -> Path:
    return bundle.folder


@pytest.fixture
def at_a_terminal(
    model: Path, environment: dict[str, str], tmp_path: Path
) -> Callable[[str, int], list[str]]:
    """Names a folder at a terminal of so many columns; returns its lines, without colours."""

    def run(folder: str, columns: int) -> list[str]:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "birdedge", "classify", folder, "--model", str(model)]
        done = subprocess.run(
            command, stdout=theirs, stderr=subprocess.PIPE, cwd=tmp_path, check=False,
            env=environment | {"TERM": "xterm-256color", "COLUMNS": str(columns)},
        )  # fmt: skip
        os.close(theirs)
        assert (done.returncode, done.stderr) == (0, b"")
        return re.sub(r"\x1b\[[0-9;]*m", "", read_terminal(ours)).splitlines()

    return run


def test_a_terminal_gets_a_table_of_every_picture(
    at_a_terminal: Callable[[str, int], list[str]], draw: Draw
) -> None:
    draw("p/red.png", RED), draw("p/blue\x1b[31m.png", BLUE)

    header, blue, red = at_a_terminal("p", 100)

    assert header.split() == ["Picture", "Species", "Probability", "Or", "else"]
    assert r"p/blue\x1b[31m.png" in blue and "Indigo Bunting" in blue
    assert "p/red.png" in red and "Northern Cardinal" in red


def test_a_narrow_terminal_shows_species_and_probability_whole(
    at_a_terminal: Callable[[str, int], list[str]], draw: Draw
) -> None:
    folder = "photos of birds/of the feeder/of the year"
    draw(f"{folder}/IMG_20260501_073012.png", RED), draw(f"{folder}/IMG_20260501_073013.png", BLUE)

    header, red, blue = at_a_terminal(folder, 80)
    lines = at_a_terminal(folder, 40)

    assert {len(line) for line in (header, red, blue)} <= set(range(81))
    assert re.match(r"\u2026.*073012\.png +Northern Cardinal +\d+\.\d%  ", red)
    assert re.match(r"\u2026.*073013\.png +Indigo Bunting +\d+\.\d%  ", blue)
    # With no room for columns, the same as into a pipe.
    assert re.match(rf"{folder}/IMG_20260501_073012\.png +\d+\.\d%  Northern Cardinal", lines[0])
    assert len(lines) == 2


def test_a_pipe_gets_a_line_for_every_picture_with_the_next_guesses(
    birdedge: Birdedge, model: Path, draw: Draw
) -> None:
    draw("p/red.png", RED), draw("p/blue.png", BLUE)

    done = birdedge("classify", "p", "--model", model, "--top-k", "2")

    blue, red = done.stdout.splitlines()
    assert re.fullmatch(r"p/blue\.png +\d+\.\d%  Indigo Bunting  \(.+ \d+\.\d%\)", blue)
    assert re.fullmatch(r"p/red\.png +\d+\.\d%  Northern Cardinal  \(.+ \d+\.\d%\)", red)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_line_in_a_file_is_not_cut(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    photo = draw("/".join(["folder" * 20] * 4) + "/red.png")

    done = birdedge("classify", photo, "--model", model)

    assert str(photo) in done.stdout


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_terminal_sees_progress_and_a_pipe_the_results(
    model: Path, draw: Draw, environment: dict[str, str], tmp_path: Path, arguments: list[str]
) -> None:
    for number in range(40):
        draw(f"p/{number}.png")
    command = [sys.executable, "-m", "birdedge", "classify", "p", "--model", str(model), *arguments]

    results, shown = watched(command, tmp_path, environment)

    assert "classifying" in shown and "Cardinal" not in shown
    assert b"classifying" not in results
    assert results.count(b"\n") == 40


def test_a_name_with_terminal_commands_is_shown_harmless(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    draw("p/red\n\x1b[31m.png"), (tmp_path / "p" / "empty\nbirdedge: all well.png").touch()

    done = birdedge("classify", "p", "--model", model)

    assert "p/red\\n\\x1b[31m.png" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.splitlines()[0].startswith("birdedge: p/empty\\nbirdedge: all well.png")
