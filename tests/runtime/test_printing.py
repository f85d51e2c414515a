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


def test_a_terminal_gets_a_table_of_every_picture(
    model: Path, draw: Draw, environment: dict[str, str], tmp_path: Path
) -> None:
    draw("p/red.png", RED), draw("p/blue\x1b[31m.png", BLUE)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "birdedge", "classify", "p", "--model", str(model)]

    done = subprocess.run(
        command, stdout=theirs, stderr=subprocess.PIPE, cwd=tmp_path, check=False,
        env=environment | {"TERM": "xterm-256color", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)

    header, blue, red = re.sub(r"\x1b\[[0-9;]*m", "", read_terminal(ours)).splitlines()
    assert header.split() == ["Picture", "Species", "Probability", "Or", "else"]
    assert r"p/blue\x1b[31m.png" in blue and "Indigo Bunting" in blue
    assert "p/red.png" in red and "Northern Cardinal" in red
    assert (done.returncode, done.stderr) == (0, b"")


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
