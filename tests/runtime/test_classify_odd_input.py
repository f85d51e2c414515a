"""What is odd about one stream, picture or bundle costs `birdedge classify` nothing else."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from colours import RED
from PIL import Image

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classify import save_picture

Birdedge = Callable[..., subprocess.CompletedProcess[str]]
Draw = Callable[..., Path]


@pytest.fixture
def model(bundle: ModelBundle, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(bundle.folder, tmp_path / "model"))


def test_closed_standard_streams_cost_no_result(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path, environment: dict[str, str]
) -> None:
    photo = draw("red.png", RED)
    command = f"{sys.executable} -m birdedge classify - {photo} --model {model} --json <&- 2>&-"

    done = subprocess.run(
        command, shell=True, stdout=subprocess.PIPE, text=True, env=environment, check=False
    )

    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first["error"] == "-: standard input is closed"
    assert second["prediction"] == "Cardinalis cardinalis (Northern Cardinal)"
    assert done.returncode == 1


def test_a_pipe_in_a_folder_is_named_and_the_next_picture_classified(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    draw("f/b.png", RED)
    for name in ("a.png", "c.mp4"):
        os.mkfifo(tmp_path / "f" / name)

    done = birdedge("classify", "f", "f/*", "--model", model, "--json")

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(Path(line["filepath"]).name, "error" in line) for line in lines] == [
        ("a.png", True), ("b.png", False), ("a.png", True), ("b.png", False), ("c.mp4", True),
    ]  # fmt: skip
    assert all("a pipe, socket or device" in line["error"] for line in lines if "error" in line)
    assert done.returncode == 1


def test_a_pipe_that_is_named_itself_is_read(
    model: Path, draw: Draw, environment: dict[str, str]
) -> None:
    classify = f"{sys.executable} -m birdedge classify <(cat {draw('red.png', RED)})"

    done = subprocess.run(
        ["bash", "-c", f"{classify} --model {model} --json"],
        capture_output=True, env=environment, timeout=120, check=True,
    )  # fmt: skip

    assert json.loads(done.stdout)["prediction"] == "Cardinalis cardinalis (Northern Cardinal)"


def test_a_picture_too_wide_for_a_jpeg_is_named_and_the_next_one_saved(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    Image.new("RGB", (70_000, 4), "blue").save(tmp_path / "wide.png")

    done = birdedge(
        "classify",
        "wide.png",
        draw("red.png", RED),
        "--model",
        model,
        "--json",
        "--save-frames",
        "s",
    )

    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == (
        "birdedge: wide.png: cannot be saved as JPEG, which has 65,500 pixels a side at most\n"
        "birdedge: 1 of 2 failed\n"
    )
    assert [file.name for file in (tmp_path / "s").iterdir()] == [
        "000002-red-Northern_Cardinal.jpg"
    ]
    assert done.returncode == 1


def test_a_second_run_into_a_folder_leaves_what_the_first_one_saved(
    birdedge: Birdedge, model: Path, draw: Draw, tmp_path: Path
) -> None:
    for photo in (draw("red.png", RED), draw("again.png", RED)):
        birdedge("classify", photo, "--model", model, "--save-frames", "s")

    assert sorted(file.name for file in (tmp_path / "s").iterdir()) == [
        "000001-red-Northern_Cardinal.jpg",
        "000002-again-Northern_Cardinal.jpg",
    ]


def test_a_picture_is_saved_whole_or_not_at_all(
    model: Path, draw: Draw, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Killed at any time, what lies in the folder are pictures."""
    noise = np.random.default_rng(0).integers(256, size=(1500, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.bmp")
    saved = tmp_path / "saved"
    process = subprocess.Popen(
        [sys.executable, "-m", "birdedge", "classify", *(200 * ["noise.bmp"]),
         "--model", model, "--save-frames", saved],
        stdout=subprocess.DEVNULL, cwd=tmp_path, env=environment,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 100
        while len(seen := list(saved.glob("*.jpg"))) < 30 and time.monotonic() < deadline:
            # Whole ones, of noise, are larger.
            assert all(path.stat().st_size > 1_000_000 for path in seen)
    finally:
        process.kill()
        process.wait()

    assert len(seen) >= 30
    for path in saved.glob("*.jpg"):
        Image.open(path).load()


def test_what_cannot_be_saved_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_picture(Image.new("RGB", (8, 8)), tmp_path / "saved", 1, "red.png", "Cardinal")

    assert list((tmp_path / "saved").iterdir()) == []


def test_a_bundles_own_words_are_shown_as_they_are(birdedge: Birdedge, model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["license"] = "see [/LICENSE] and [1]"
    (model / "manifest.json").write_text(json.dumps(manifest))

    done = birdedge("models", "info", model)

    assert "see [/LICENSE] and [1]" in done.stdout
    assert done.returncode == 0


def test_a_targets_name_is_shown_as_it_is(birdedge: Birdedge, model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["targets"] = {"[/red]": manifest["targets"]["onnx-fp32"]}
    (model / "manifest.json").write_text(json.dumps(manifest))

    assert "[/red]" in birdedge("models", "info", model).stdout


def test_a_name_with_line_breaks_stays_on_one_line(birdedge: Birdedge, model: Path) -> None:
    done = birdedge("classify", "x.png", "--model", "no\nsuch\x1b[31mdir")

    assert done.returncode == 1
    assert done.stderr == (
        "birdedge: no model bundle at no\\nsuch\\x1b[31mdir (it has no manifest.json)\n"
    )


def test_standard_input_without_end_is_refused(birdedge: Birdedge, model: Path) -> None:
    done = birdedge("classify", "-", "--model", model, "--json", stdin=bytes(65 * 2**20))

    assert (done.returncode, done.stderr) == (1, "birdedge: -: larger than 64 MB\n")


@pytest.mark.parametrize("option", ["--model", "--labels", "--species", "--save-frames", "--store"])
def test_an_empty_name_as_of_an_unset_variable_is_no_folder(
    birdedge: Birdedge, draw: Draw, tmp_path: Path, option: str
) -> None:
    photo = draw("red.png")

    done = birdedge("classify", photo, option, "")

    assert (done.returncode, done.stdout) == (2, "")
    assert option in done.stderr and "an empty name is no file or folder" in done.stderr
    assert list(tmp_path.iterdir()) == [photo]
