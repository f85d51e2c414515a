"""Pictures within their budget: which go, which stay, and by what clock."""

import io
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recordings import MakeVisit, kept, record

from birdedge.runtime import durable
from birdedge.runtime.durable import sync_to_disk
from birdedge.runtime.errors import StoreError
from birdedge.runtime.sightings import recorder
from birdedge.runtime.sightings.database import read_database
from birdedge.runtime.sightings.pictures import Budget, encoded, prune
from birdedge.runtime.sightings.recorder import Recorder


def days_ago(store: Path, days: float) -> datetime:
    return datetime(2026, 5, 1, 6, 0, tzinfo=UTC) - timedelta(days=days)


def test_the_oldest_pictures_go_first_but_for_favourites_and_firsts(
    tmp_path: Path, visit: MakeVisit
) -> None:
    names = ["Blue Jay", "Mallard", "Blue Jay", "Blue Jay", "Mallard", "Blue Jay"]
    record(tmp_path, *(visit(name) for name in names))
    ids = [sighting.id for sighting in kept(tmp_path)]
    size = next(tmp_path.glob("pictures/*/*/*/*.jpg")).stat().st_size
    with read_database(tmp_path) as connection:
        connection.execute("UPDATE sightings SET favourite = 1 WHERE id = ?", (ids[2],))
        deleted = prune(connection, tmp_path, Budget(bytes=int(4.5 * size)), None)

    assert deleted == 2
    pictured = [sighting.picture is not None for sighting in kept(tmp_path)]
    assert pictured == [True, True, True, False, False, True]
    assert len(list(tmp_path.glob("pictures/*/*/*/*.jpg"))) == 4


def test_a_picture_is_on_the_card_before_its_row(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power may go at any moment: content first, then the name, then what refers to it."""
    told = []

    def watched(path: Path) -> None:
        told.append((path.suffix, len(list(tmp_path.glob("pictures/*/*/*/*.jpg"))), kept(tmp_path)))
        sync_to_disk(path)

    monkeypatch.setattr(durable, "sync_to_disk", watched)
    record(tmp_path, visit())

    assert told == [(".new", 0, []), ("", 1, [])]
    assert len(kept(tmp_path)) == 1


def test_what_goes_wrong_with_a_database_in_use_is_told_by_its_name(
    tmp_path: Path, visit: MakeVisit
) -> None:
    record(tmp_path, visit())
    told = r"sightings\.db: attempt to write a readonly database"
    with pytest.raises(StoreError, match=told), read_database(tmp_path) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("UPDATE sightings SET favourite = 1")


def test_age_is_told_only_by_a_clock_that_is_trusted(tmp_path: Path, visit: MakeVisit) -> None:
    record(tmp_path, *(visit(start=days_ago(tmp_path, days)) for days in (30, 20, 10, 1)))
    now = days_ago(tmp_path, 0)
    with read_database(tmp_path) as connection:
        assert prune(connection, tmp_path, Budget(days=5), None) == 0
        assert prune(connection, tmp_path, Budget(days=5), now) == 2

    assert [sighting.picture is not None for sighting in kept(tmp_path)] == [
        True, False, False, True
    ]  # fmt: skip


def test_a_picture_of_the_future_keeps_none_of_the_past(tmp_path: Path, visit: MakeVisit) -> None:
    """As of a clock that was once a century ahead."""
    days = (300, -40_000, 299, 298, 1)
    record(tmp_path, *(visit(start=days_ago(tmp_path, each)) for each in days))
    with read_database(tmp_path) as connection:
        assert prune(connection, tmp_path, Budget(days=5), days_ago(tmp_path, 0)) == 2

    assert [sighting.picture is not None for sighting in kept(tmp_path)] == [
        True, True, False, False, True
    ]  # fmt: skip


def test_a_clock_that_a_time_server_set_is_trusted_at_once(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a Pi that runs by day alone: it never agrees with itself for a day."""
    monkeypatch.setattr(recorder, "_PRUNE_SECONDS", 0.0)
    monkeypatch.setattr(recorder, "clock_is_synchronised", lambda: True)
    before = [visit(start=datetime.now(UTC) - timedelta(days=days)) for days in (30, 20, 10, 1)]
    record(tmp_path, *before)
    keeping = Recorder(tmp_path, Budget(days=5))
    keeping.take(visit(start=datetime.now(UTC)))
    keeping.close()

    assert [sighting.picture is not None for sighting in kept(tmp_path)] == [
        True, False, False, True, True
    ]  # fmt: skip


@pytest.mark.parametrize("years", [1, -1])
def test_a_clock_that_jumps_by_a_year_deletes_nothing(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    monkeypatch.setattr(recorder, "_PRUNE_SECONDS", 0.0)
    monkeypatch.setattr(recorder, "clock_is_synchronised", lambda: False)
    keeping = Recorder(tmp_path, Budget(days=100))
    keeping.take(visit(start=datetime.now(UTC)))
    keeping.take(visit(start=datetime.now(UTC)))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + years * 366 * 86_400)
    keeping.take(visit(start=datetime.now(UTC) + years * timedelta(days=366)))
    keeping.close()

    assert [sighting.picture is not None for sighting in kept(tmp_path)] == [True] * 3


def test_pictures_that_no_row_knows_go_first_but_only_for_want_of_space(
    tmp_path: Path, visit: MakeVisit
) -> None:
    """They are all that is left of a database that was damaged."""
    record(tmp_path, visit(), visit())
    known = next(tmp_path.glob("pictures/*/*/*/*.jpg"))
    orphan = known.with_name("000000-orphan.jpg")
    orphan.write_bytes(known.read_bytes())
    record(tmp_path, visit())
    assert orphan.exists()
    with read_database(tmp_path) as connection:
        assert prune(connection, tmp_path, Budget(bytes=10**9), datetime.now(UTC)) == 0
        assert prune(connection, tmp_path, Budget(bytes=int(3.5 * known.stat().st_size)), None) == 1

    assert not orphan.exists()
    assert all(sighting.picture for sighting in kept(tmp_path))


def test_half_a_picture_is_removed_in_time(tmp_path: Path, visit: MakeVisit) -> None:
    record(tmp_path, visit())
    folder = next(tmp_path.glob("pictures/*/*/*"))
    old, new = ".old.jpg.new", ".new.jpg.new"
    for name, age in ((old, 2 * 86_400), (new, 0)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    record(tmp_path, visit())

    assert {path.name for path in folder.glob(".*")} == {new}


def test_a_picture_of_a_large_frame_is_made_smaller_and_keeps_its_shape() -> None:
    large = Image.open(io.BytesIO(encoded(np.zeros((2160, 3840, 3), np.uint8))))
    small = Image.open(io.BytesIO(encoded(np.zeros((300, 400, 3), np.uint8))))
    assert (large.size, small.size) == ((1280, 720), (400, 300))
