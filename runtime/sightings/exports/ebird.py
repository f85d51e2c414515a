"""eBird's import format: "eBird Record Format (Extended)", a CSV of nineteen columns and no heads.

Each day before each camera is one checklist by the protocol for what was seen by the way: nobody
watched all the time, and not all birds that were there are on it.
"""

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ...errors import StoreError
from .. import Sighting
from . import Site, camera_name


def export(sightings: Sequence[Sighting], site: Site, store: Path, out: Path) -> None:
    """Write the checklists; see `Export`.

    Raises:
        StoreError: the site's country is not known, which eBird asks for.
    """
    if not site.country:
        raise StoreError("eBird asks where it was: --country US, and --state NY where there is one")
    days: dict[tuple[str, str], dict[str, list[Sighting]]] = defaultdict(lambda: defaultdict(list))
    for sighting in sightings:
        if is_species(sighting):
            day = f"{sighting.start.astimezone():%m/%d/%Y}"
            days[day, sighting.source][sighting.scientific_name or ""].append(sighting)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for (day, source), species in days.items():
            first = min(visits[0].start for visits in species.values())
            for name, visits in species.items():
                genus, _, epithet = name.partition(" ")
                writer.writerow((
                    visits[0].common_name, genus, epithet, most_at_once(visits),
                    f"{len(visits)} visits to a camera; {_named_by(visits)}",
                    site.name, _degrees(site.latitude), _degrees(site.longitude),
                    day, f"{first.astimezone():%H:%M}", site.state, site.country,
                    "Incidental", 1, "", "N", "", "", f"birdedge, {camera_name(source)}",
                ))  # fmt: skip


def is_species(sighting: Sighting) -> bool:
    """Whether it is one species, rather than one of several or none."""
    name = sighting.scientific_name
    return name is not None and " " in name and not name.endswith(" sp.")


def most_at_once(visits: Sequence[Sighting]) -> int:
    """How many there were for sure: those that were seen at the same time, as birders count."""
    steps = sorted(step for visit in visits for step in ((visit.start, 1), (visit.end, -1)))
    most = now = 0
    for _, change in steps:
        now += change
        most = max(most, now)
    return max(most, 1)


def _named_by(visits: Sequence[Sighting]) -> str:
    people = sum(visit.correction is not None for visit in visits)
    if not people:
        return "named by software"
    return "named by a person" if people == len(visits) else "named by software, partly corrected"


def _degrees(value: float | None) -> str:
    return "" if value is None else f"{value:.5f}"
