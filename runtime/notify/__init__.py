"""Visits told to others as they happen: home automation by MQTT, web services by webhooks."""

from typing import Any, Literal, Protocol

from ..visit_lines import as_line
from ..visits import Visit


class Notifier(Protocol):
    """Somebody who is told. Telling takes no time: what cannot be told yet waits."""

    def take(self, visit: Visit) -> None:
        """Tell of a visit that was decided or has ended."""

    def close(self) -> None:
        """Tell what still can be told within seconds, and stop."""


def event(visit: Visit) -> dict[str, Any]:
    """A visit as it is told: the keys of `birdedge classify --json`, and its ``type``."""
    kind: Literal["new", "end"] = "end" if visit.ended else "new"
    answer = visit.prediction.answer
    return {
        "type": kind,
        "common_name": visit.prediction.name,
        "scientific_name": answer.label.scientific_name if answer else None,
        **as_line(visit, top_k=3),
    }
