"""Visits as a camera has them, without the camera."""

from datetime import UTC, datetime
from uuid import uuid4

import numpy as np

from birdedge.runtime.labels import Label
from birdedge.runtime.predictions import Candidate, Prediction
from birdedge.runtime.regions import Region
from birdedge.runtime.visits import View, Visit

MORNING = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
SPECIES = {
    "Blue Jay": Label(
        scientific_name="Cyanocitta cristata", common_name="Blue Jay", ebird_code="blujay"
    ),
    "Mallard": Label(
        scientific_name="Anas platyrhynchos", common_name="Mallard", ebird_code="mallar3"
    ),
    "Indigo Bunting": Label(scientific_name="Passerina cyanea", common_name="Indigo Bunting"),
}


def make_visit(
    name: str | None = "Blue Jay",
    start: datetime = MORNING,
    seconds: float = 12.0,
    *,
    ended: bool = True,
    side: int = 64,
    id_: str | None = None,
    source: str = "garden",
    model_id: str = "model-1",
) -> Visit:
    first = SPECIES[name or "Blue Jay"]
    others = [label for label in SPECIES.values() if label != first]
    shares = (0.9, 0.07, 0.03) if name else (0.4, 0.35, 0.25)
    ranked = tuple(map(Candidate, [first, *others], shares))
    prediction = Prediction(ranked, 0.5)
    noise = np.random.default_rng(len(ranked)).integers(0, 255, (side, side, 3), dtype=np.uint8)
    view = View(start, (1280, 720), Region(320, 180, 640, 500), noise, noise)
    return Visit(
        id_ or uuid4().hex, source, start, 0.0, seconds, prediction, prediction, model_id, 9, view,
        ended,
    )  # fmt: skip
