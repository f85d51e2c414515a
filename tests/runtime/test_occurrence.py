"""Lists of what occurs: names in every form, weights by month, and what is wrong with a list."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from colours import BLUE, RED

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import OccurrenceError
from birdedge.runtime.labels import BACKGROUND, Label
from birdedge.runtime.occurrence import read_occurrence

LABELS = (
    Label(scientific_name="Cyanocitta cristata", common_name="Blue Jay", ebird_code="blujay"),
    Label(scientific_name="Spinus tristis", common_name="American Goldfinch"),
    Label(scientific_name="Anas platyrhynchos", common_name="Mallard"),
    Label(scientific_name=BACKGROUND),
)
MAY, JANUARY = datetime(2026, 5, 15, tzinfo=UTC), datetime(2026, 1, 15, tzinfo=UTC)


@pytest.fixture
def listed(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "species.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("name", ["Blue Jay", "cyanocitta CRISTATA", "blujay"])
def test_a_plain_list_is_of_all_that_occurs(listed: Callable[[str], Path], name: str) -> None:
    weights = read_occurrence(listed(f"# my garden\n\n{name}\nMallard\n"), LABELS)

    np.testing.assert_array_equal(weights(MAY), [1, 0, 1, 1])


def test_weights_may_be_by_month_and_for_all_others(listed: Callable[[str], Path]) -> None:
    months = ",".join(["0.1"] * 4 + ["0.8"] + ["0"] * 7)
    occurrence = read_occurrence(listed(f"Blue Jay, 0.5\nMallard,{months}\n*,0.02"), LABELS)

    # The commonest of the month has 1: frequencies of a few percent are as good.
    np.testing.assert_allclose(occurrence(MAY), [0.625, 0.025, 1, 1])
    np.testing.assert_allclose(occurrence(JANUARY), [1, 0.04, 0.2, 1])


def test_birds_that_the_model_does_not_know_are_told(
    listed: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    read_occurrence(listed("Blue Jay\nA\nB\nC\nD\nE\n"), LABELS)

    assert caplog.messages == ["the model does not know A, B, C and 2 more of the list"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names none of the 4 species"),
        ("Ostrich\n", "names none"),
        ("Blue Jay,often\n", "line 1: give one weight"),
        ("Mallard\nBlue Jay,1,2,3\n", "line 2: give one weight"),
        ("Blue Jay,1.5\n", "line 1"),
        ("Blue Jay,nan\n", "line 1"),
    ],
)
def test_what_is_wrong_is_told_by_line(listed: Callable[[str], Path], text: str, told: str) -> None:
    with pytest.raises(OccurrenceError, match=told):
        read_occurrence(listed(text), LABELS)


def test_a_list_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(OccurrenceError, match="No such file"):
        read_occurrence(tmp_path / "none.csv", LABELS)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OccurrenceError, match="not a text file"):
        read_occurrence(tmp_path / "bytes.csv", LABELS)


def test_classify_minds_it(
    birdedge: Callable[..., subprocess.CompletedProcess[str]],
    bundle: ModelBundle,
    draw: Callable[..., Path],
    listed: Callable[[str], Path],
) -> None:
    species = listed("Northern Cardinal\nCalliope Hummingbird\n")
    pictures = [draw("red.png", RED), draw("blue.png", BLUE)]
    options = ["--model", bundle.folder, "--threshold", 0.5, "--json", "--species", species]
    done = birdedge("classify", *pictures, *options)

    assert done.returncode == 0, done.stderr
    named = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    assert named == ["Cardinalis cardinalis (Northern Cardinal)", "unknown"]
