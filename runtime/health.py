"""How the service does with a model: how fast, how sure, how long; counted, and kept."""

import math
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .durable import atomic_write

BINS = 10
"""Of the probability of first answers, from 0 to 1."""

_HEALTH = "health-{}.json"

_REMEMBERED = 2000
"""When there are so many visits, each counts half of what it did: how sure a model is goes with the
seasons, and what it was last spring says little of now."""

_STEPS = 40
_FIRST = 0.0005
_STEPS_PER_DOUBLING = 4
"""Latencies are counted in bins, a quarter of a doubling wide, from half a millisecond on."""


class Health(BaseModel):
    """What a service saw with one model.

    Attributes:
        digest: the model's.
        frames: that were looked at.
        seconds: that it was at work.
        visits: that ended.
        latencies: inferences, by how long they took.
        confidence: visits by the probability of their first answer, in `BINS` equal bins; one that
            is a thousand visits older counts half.
    """

    model_config = ConfigDict(extra="ignore")

    digest: str
    frames: int = 0
    seconds: float = 0.0
    visits: int = 0
    latencies: list[int] = Field(
        default_factory=lambda: [0] * _STEPS, min_length=_STEPS, max_length=_STEPS
    )
    confidence: list[int] = Field(
        default_factory=lambda: [0] * BINS, min_length=BINS, max_length=BINS
    )

    def inferred(self, seconds: float) -> None:
        """Count an inference by how long it took."""
        step = int(_STEPS_PER_DOUBLING * math.log2(max(seconds, 1e-9) / _FIRST))
        self.latencies[min(max(step, 0), _STEPS - 1)] += 1

    def saw(self, probability: float) -> None:
        """Count a visit by the probability of its first answer."""
        self.visits += 1
        self.confidence[min(int(probability * BINS), BINS - 1)] += 1
        if sum(self.confidence) >= _REMEMBERED:
            self.confidence = [count // 2 for count in self.confidence]

    def latency(self) -> float | None:
        """Median seconds of one inference, to a tenth; none before there was any."""
        return median_latency(self.latencies)


def median_latency(latencies: list[int]) -> float | None:
    """Median seconds of counted inferences; none where there are none."""
    total, seen = sum(latencies), 0
    for step, count in enumerate(latencies):
        seen += count
        if count and seen * 2 >= total:
            return float(_FIRST * 2 ** ((step + 0.5) / _STEPS_PER_DOUBLING))
    return None


def read_health(folder: Path, digest: str) -> Health | None:
    """What was seen with a model; none if there was nothing, or it is damaged."""
    try:
        health = Health.model_validate_json(health_file(folder, digest).read_bytes())
    except (OSError, ValidationError):
        return None
    return health if health.digest == digest else None


def write_health(folder: Path, health: Health) -> None:
    """Keep what was seen, if that can be done: it is no reason to stop watching."""
    with suppress(OSError), atomic_write(health_file(folder, health.digest)) as draft:
        draft.write_text(health.model_dump_json(), encoding="utf-8")


def health_file(folder: Path, digest: str) -> Path:
    """Where a model's health is kept, among a device's models."""
    return folder / _HEALTH.format(digest[:12])
