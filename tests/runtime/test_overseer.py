"""Who looks after the model of a service that changes while it runs."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from publisher import put, renamed

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.health import read_health
from birdedge.runtime.installed import Installed
from birdedge.runtime.load import load_classifier
from birdedge.runtime.overseer import Overseer, service_of
from birdedge.runtime.sources import Frame


@pytest.fixture
def installed(tmp_path: Path, bundle: ModelBundle) -> Installed:
    """A device with two models."""
    device = Installed(tmp_path / "models")
    for name in ("garden-1", "garden-2"):
        put(device, renamed(bundle, tmp_path / name, name))
    return device


@pytest.fixture
def models(installed: Installed) -> Iterator[list[Classifier]]:
    loaded = [load_classifier(installed.find(f"garden-{n}").folder) for n in (1, 2)]
    yield loaded
    for classifier in loaded:
        classifier.close()


def test_a_service_that_starts_before_the_first_model_comes_looks_after_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    models = Installed(tmp_path / "data" / "models")
    with service_of(models) as first, service_of(models) as second:
        assert (first, second) == (models, None)
    with service_of(Installed(tmp_path / "file" / "models")) as nowhere:
        assert nowhere is None


def watch(installed: Installed, old: Classifier, new: Classifier) -> None:
    """Before a bird that is there from the first frame on, another model is used from the third."""
    now = old
    overseer = Overseer(installed, lambda: now)

    def moments() -> Iterator[Frame]:
        pixels = np.zeros((8, 8, 3), np.uint8)
        for number in range(5):
            yield Frame(pixels, datetime.now(UTC), "garden", number, number / 10)

    for number, _ in enumerate(overseer.watched(moments())):
        overseer.inferred(old, 0.010)
        if now is new:
            overseer.inferred(new, 0.020)
        now = old if number < 2 else new
    overseer.close()


def inferences(installed: Installed, name: str) -> int:
    health = read_health(installed.folder, installed.find(name).digest)
    return sum(health.latencies) if health is not None else 0


def test_a_bird_that_came_before_a_change_says_nothing_of_the_new_model(
    installed: Installed, models: list[Classifier]
) -> None:
    watch(installed, *models)

    assert inferences(installed, "garden-1") == 3
    assert inferences(installed, "garden-2") == 2


def test_a_model_whose_folder_is_gone_is_not_taken_for_the_one_before(
    installed: Installed, models: list[Classifier]
) -> None:
    shutil.rmtree(installed.find("garden-2").folder)
    watch(installed, *models)

    assert inferences(installed, "garden-1") == 5
