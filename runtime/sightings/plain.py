"""Sightings as plain data, for programs: the terminal's JSON and the exports share it."""

from typing import Any

from . import Guess, Sighting


def as_dict(sighting: Sighting) -> dict[str, Any]:
    """A sighting for programs: what it is, what the model said, and when."""
    correction = sighting.correction
    return {
        "id": sighting.id,
        "start": sighting.start.isoformat(),
        "end": sighting.end.isoformat(),
        "seconds": sighting.seconds,
        "source": sighting.source,
        "scientific_name": sighting.scientific_name,
        "common_name": sighting.common_name,
        "ebird_code": correction.ebird_code if correction else sighting.ebird_code,
        "corrected_at": correction.corrected_at.isoformat() if correction else None,
        "model": _as_dict(sighting.answer),
        "model_unweighted": _as_dict(sighting.unweighted),
        "runners_up": [_as_dict(other) for other in sighting.runners_up],
        "votes": sighting.votes,
        "model_id": sighting.model_id,
        "picture": sighting.picture,
        "pictured_at": sighting.pictured_at.isoformat(),
        "bbox": list(sighting.box),
        "ended": sighting.ended,
        "favourite": sighting.favourite,
    }


def _as_dict(guess: Guess | None) -> dict[str, Any] | None:
    return None if guess is None else vars(guess)
