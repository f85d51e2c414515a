"""The model inside birdedge is what its card says, on real photos that it never saw."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.default import DEFAULT_MODEL
from birdedge.runtime.golden import self_test

DATA = Path(__file__).parents[2] / "shared" / "data"
SPECIES = Path(__file__).parents[1] / "configs" / "data" / "cub100_species.csv"


def _classify(*sources: Path) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "birdedge", "classify", *sources, "--json", "--top-k", "5"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_fits_in_four_megabytes() -> None:
    assert sum(file.stat().st_size for file in DEFAULT_MODEL.iterdir()) <= 4_000_000


def test_it_passes_its_self_test_here() -> None:
    bundle = ModelBundle.load(DEFAULT_MODEL)
    for target in bundle.manifest.targets:
        assert self_test(bundle, target, threads=1).passed


@pytest.mark.real
@pytest.mark.slow
def test_it_is_as_accurate_on_the_test_photos_as_its_card_says() -> None:
    if not (DATA / "cub100" / "test").is_dir():
        pytest.skip(f"no photos at {DATA / 'cub100'}")
    with SPECIES.open(newline="") as file:
        names = {
            row["class"]: f"{row['scientific_name']} ({row['common_name']})"
            for row in csv.DictReader(file)
        }
    results = _classify(DATA / "cub100" / "test")
    right = sum(
        result["classifications"]["classes"][0].partition(" (")[0]  # type: ignore[index]
        == names[Path(str(result["filepath"])).parent.name].partition(" (")[0]
        for result in results
    )
    assert len(results) == 1459
    accuracy = ModelBundle.load(DEFAULT_MODEL).manifest.targets["onnx-int8"].accuracy
    assert accuracy is not None and accuracy.samples == 1459
    # Another processor rounds otherwise; more than a few photos' difference is a fault.
    assert right / len(results) == pytest.approx(accuracy.top1, abs=0.004)
    assert right / len(results) >= 0.96


@pytest.mark.real
def test_a_blue_jay_is_a_blue_jay() -> None:
    photo = DATA / "cub100" / "test" / "Blue_Jay" / "0000.jpg"
    if not photo.is_file():
        pytest.skip(f"no photo at {photo}")
    (result,) = _classify(photo)
    assert result["prediction"] == "Cyanocitta cristata (Blue Jay)"
