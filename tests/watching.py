"""Visits that come of birds frame by frame; colours stand for species."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import ImageColor

from birdedge.runtime.classifier import Classifier
from birdedge.runtime.regions import Region
from birdedge.runtime.sources import Frame, Lost
from birdedge.runtime.visits import Visit
from birdedge.runtime.watcher import Watcher

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
LEFT, RIGHT = Region(20, 40, 100, 120), Region(220, 40, 300, 120)
Birds = dict[Region, str]
"""Which colour moves where, in one frame."""
LOST: Birds = {Region(0, 0, 0, 0): "lost"}
"""No frame: the camera is lost."""
NO_CHANGES: Mapping[int, Classifier] = {}


def visits_of(
    scenes: Sequence[Birds],
    classifier: Classifier,
    changes: Mapping[int, Classifier] = NO_CHANGES,
    one_place: bool = False,
) -> list[Visit]:
    """Ten frames a second, gray where no bird is."""
    moving: list[Birds] = []

    def now(_: bool) -> Classifier:
        """At each of these frames another one takes over; it is asked for before each."""
        nonlocal classifier
        classifier = changes.get(len(moving), classifier)
        return classifier

    def moments() -> Iterator[Frame | Lost]:
        for number, birds in enumerate(scenes):
            if birds is LOST:
                moving.append({})
                yield Lost(number / 10)
                continue
            pixels = np.full((160, 320, 3), 128, np.uint8)
            for region, color in birds.items():
                region.crop(pixels)[:] = ImageColor.getrgb(color.removeprefix("still "))
            moving.append({
                region: color for region, color in birds.items() if "still" not in color
            })  # fmt: skip
            seconds = number / 10
            taken = START + timedelta(seconds=seconds)
            yield Frame(pixels, taken, "garden", number, seconds)

    watcher = Watcher(now, lambda frame: list(moving[frame.number]), one_place=one_place)
    return list(watcher.visits(moments()))
