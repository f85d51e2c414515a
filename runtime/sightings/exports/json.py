"""All that is known of each, as JSON Lines."""

import json
from collections.abc import Sequence
from pathlib import Path

from .. import Sighting
from ..plain import as_dict
from . import Site


def export(sightings: Sequence[Sighting], site: Site, store: Path, out: Path) -> None:
    """Write an object a line; see `Export`."""
    with out.open("w", encoding="utf-8") as file:
        for sighting in sightings:
            file.write(json.dumps(as_dict(sighting), ensure_ascii=False) + "\n")
