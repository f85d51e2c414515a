"""Visits kept in a store, for tests: written, waited for and read; also where there is no space."""

import time
from collections.abc import Callable
from pathlib import Path

from birdedge.runtime.sightings import Sighting
from birdedge.runtime.sightings.database import read_database
from birdedge.runtime.sightings.recorder import Recorder
from birdedge.runtime.sightings.rows import select
from birdedge.runtime.visits import Visit

MakeVisit = Callable[..., Visit]


def kept(store: Path) -> list[Sighting]:
    with read_database(store) as connection:
        return list(select(connection, "ORDER BY rowid"))


def wait_until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def record(store: Path, *visits: Visit) -> list[Sighting]:
    keeping = Recorder(store)
    for visit in visits:
        keeping.take(visit)
    keeping.close()
    return kept(store)
