"""Who looks after the model of a service that changes while it runs."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from publisher import renamed

from birdedge.runtime.bundle import ModelBundle, sha256
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.health import read_health
from birdedge.runtime.installed import Installed
from birdedge.runtime.load import load_classifier
from birdedge.runtime.overseer import Overseer
from birdedge.runtime.sources import Frame


def loaded(installed: Installed, bundle: ModelBundle, name: str) -> Classifier:
    with installed.new(name, sha256(bundle.folder / "manifest.json")) as draft:
        for file in bundle.folder.iterdir():
            (draft / file.name).write_bytes(file.read_bytes())
    return load_classifier(installed.find(name).folder)


def test_a_bird_that_came_before_a_change_says_nothing_of_the_new_model(
    tmp_path: Path, bundle: ModelBundle
) -> None:
    installed = Installed(tmp_path / "models")
    with (
        closing(loaded(installed, renamed(bundle, tmp_path / "1", "garden-1"), "garden-1")) as old,
        closing(loaded(installed, renamed(bundle, tmp_path / "2", "garden-2"), "garden-2")) as new,
    ):
        now = old
        overseer = Overseer(installed, lambda: now)

        def moments() -> Iterator[Frame]:
            pixels = np.zeros((8, 8, 3), np.uint8)
            for number in range(4):
                yield Frame(pixels, datetime.now(UTC), "garden", number, number / 10)

        for number, _ in enumerate(overseer.watched(moments())):
            # The bird was there from the first frame on; from the third on, another model is used.
            now = old if number < 2 else new
            overseer.inferred(old, 0.010)
            if now is new:
                overseer.inferred(new, 0.020)
        overseer.close()

    def inferences(name: str) -> int:
        health = read_health(installed.folder, installed.find(name).digest)
        assert health is not None
        return sum(health.latencies)

    assert inferences("garden-1") == 3
    assert inferences("garden-2") == 1
