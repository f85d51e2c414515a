"""The wheel works alone, in a clean environment, from another folder, with no torch in sight."""

import json
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, REPOSITORY],
        check=True,
        capture_output=True,
    )
    return out


@pytest.mark.slow
def test_wheel_holds_every_stage_and_the_model(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for part in ("runtime/classify.py", "train/train.py", "compress/compress.py", "py.typed",
                 "configs/train.yaml", "configs/data/cub100_species.csv",
                 "runtime/default_model/manifest.json",
                 "deploy/systemd/birdedge.service"):  # fmt: skip
        assert f"birdedge/{part}" in names
    assert not any(name.startswith("tests/") for name in names)


@pytest.mark.slow
def test_sdist_holds_what_the_links_point_to(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert "src/birdedge/runtime/classify.py" in names
    assert "src/birdedge/configs/train.yaml" in names


@pytest.mark.slow
@pytest.mark.parametrize("versions", ["newest", "oldest"])
def test_wheel_installed_alone_names_a_picture_from_another_folder(
    dist: Path, tmp_path: Path, versions: str
) -> None:
    (wheel,) = dist.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    wanted = [wheel]
    if versions == "oldest":
        # Python 3.13 came after some of them.
        if sys.version_info >= (3, 12):
            pytest.skip("the oldest versions have no wheels for this Python")
        wanted += [name.replace(">=", "==") for name in _dependencies()]
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (300, 200), (30, 90, 200)).save(elsewhere / "drawn.png")

    done = subprocess.run(
        [tmp_path / "env" / "bin" / "birdedge", "classify", "drawn.png", "--json"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["filepath"] == "drawn.png"
    assert len(answer["classifications"]["classes"]) == 3
    _draw_video(elsewhere / "drawn.mp4")
    for command in (["--help"], ["classify", "--camera", "drawn.mp4", "--no-store"]):
        done = subprocess.run(
            [tmp_path / "env" / "bin" / "birdedge", *command],
            cwd=elsewhere, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    has_torch = subprocess.run([python, "-c", "import torch"], capture_output=True)
    assert has_torch.returncode != 0


def _dependencies() -> list[str]:
    """What the runtime needs, as pyproject.toml has it."""
    found: list[str] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"][
        "dependencies"
    ]
    return found


def _draw_video(path: Path) -> None:
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 240))
    for number in range(20):
        frame = np.full((240, 320, 3), 128, np.uint8)
        frame[80:160, 10 * number : 10 * number + 80] = (30, 90, 200)
        video.write(frame)
    video.release()
