"""A table for spreadsheets: a row each, times in UTC."""

import csv
from collections.abc import Sequence
from pathlib import Path

from .. import Sighting
from ..plain import as_dict
from . import Site

_COLUMNS = (
    "id", "start", "end", "seconds", "source", "scientific_name", "common_name", "ebird_code",
    "corrected_at", "votes", "model_id", "picture", "favourite",
)  # fmt: skip


def export(sightings: Sequence[Sighting], site: Site, store: Path, out: Path) -> None:
    """Write the table, UTF-8 with a row of heads; see `Export`."""
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*_COLUMNS, "model_scientific_name", "model_probability"))
        for sighting in sightings:
            row = as_dict(sighting)
            answer = sighting.answer
            model = (answer.scientific_name, answer.probability) if answer else ("", "")
            writer.writerow([*(row[name] for name in _COLUMNS), *model])
