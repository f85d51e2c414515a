"""The wheel works alone, in a clean environment, from another folder, with no torch in sight."""

import json
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

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
def test_wheel_installed_alone_names_a_picture_from_another_folder(
    dist: Path, tmp_path: Path
) -> None:
    (wheel,) = dist.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True)
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
    has_torch = subprocess.run([python, "-c", "import torch"], capture_output=True)
    assert has_torch.returncode != 0
