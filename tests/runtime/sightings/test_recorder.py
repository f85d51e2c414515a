"""Visits are kept whatever happens to the process, the disk, the database and the clock."""

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from disks import little_space
from PIL import Image
from recordings import MakeVisit, kept, record, wait_until

from birdedge.runtime.errors import StoreError
from birdedge.runtime.sightings import recorder
from birdedge.runtime.sightings.database import open_database, read_database
from birdedge.runtime.sightings.recorder import Recorder


def test_a_database_that_may_not_be_written_is_told_at_once(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a backup that root put back: it can be opened, and read."""
    record(tmp_path, visit())
    address = f"file:{tmp_path / 'sightings.db'}?mode=ro"
    monkeypatch.setattr(recorder, "open_database", lambda _: sqlite3.connect(address, uri=True))

    with pytest.raises(StoreError, match="attempt to write a readonly database"):
        Recorder(tmp_path)


def test_a_visit_is_kept_with_its_picture(tmp_path: Path, visit: MakeVisit) -> None:
    came = visit("Blue Jay", seconds=12.5)
    (sighting,) = record(tmp_path, came)

    assert sighting.id == came.id
    assert (sighting.name, sighting.scientific_name) == ("Blue Jay", "Cyanocitta cristata")
    assert sighting.ebird_code == "blujay"
    assert sighting.answer is not None and sighting.answer.probability == 0.9
    assert [other.name for other in sighting.runners_up] == ["Mallard", "Indigo Bunting"]
    assert sighting.start == came.start
    assert sighting.end == came.start + timedelta(seconds=12.5)
    assert sighting.box == pytest.approx((0.25, 0.25, 0.25, 320 / 720))
    assert (sighting.votes, sighting.model_id, sighting.ended) == (9, "model-1", True)
    assert sighting.picture is not None
    assert sighting.picture.startswith("pictures/2026/05/01/060000-Blue_Jay-")
    assert Image.open(tmp_path / sighting.picture).size == (64, 64)


def test_unknown_is_kept_too(tmp_path: Path, visit: MakeVisit) -> None:
    (sighting,) = record(tmp_path, visit(None))

    assert (sighting.answer, sighting.name) == (None, "unknown")
    assert next(other.name for other in sighting.runners_up) == "Blue Jay"


def test_a_visit_that_was_decided_is_brought_up_to_date_at_its_end(
    tmp_path: Path, visit: MakeVisit
) -> None:
    keeping = Recorder(tmp_path)
    keeping.take(visit("Mallard", seconds=1.0, ended=False, id_="a" * 32))
    wait_until(lambda: len(kept(tmp_path)) == 1)
    (before,) = kept(tmp_path)
    keeping.take(visit("Blue Jay", seconds=30.0, id_="a" * 32))
    wait_until(lambda: kept(tmp_path)[0].ended)
    (after,) = kept(tmp_path)
    keeping.close()

    assert (before.name, before.picture, before.ended) == ("Mallard", None, False)
    assert (after.name, after.seconds) == ("Blue Jay", 30.0)


def test_visits_that_go_on_are_written_together(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most one commit in five seconds, but at once at an end: a card wears."""
    commits = []
    write = Recorder._write
    monkeypatch.setattr(Recorder, "_write", lambda self: commits.append(1) or write(self))
    keeping = Recorder(tmp_path)
    for _ in range(20):
        keeping.take(visit(ended=False))
        time.sleep(0.02)
    assert len(commits) == 1
    keeping.take(visit())
    wait_until(lambda: len(kept(tmp_path)) == 21)
    keeping.close()

    assert len(commits) == 2


def test_many_recorders_and_readers_share_a_store(tmp_path: Path, visit: MakeVisit) -> None:
    keeping = [Recorder(tmp_path) for _ in range(4)]
    for _ in range(25):
        for each in keeping:
            each.take(visit())
        kept(tmp_path)
    for each in keeping:
        each.close()

    assert len(kept(tmp_path)) == 100


def test_a_hundred_kills_lose_nothing_that_was_committed(tmp_path: Path) -> None:
    """A process is killed at random moments; what it had told of is there, whole."""
    program = Path(__file__).with_name("killed.py")
    done = subprocess.run(
        [sys.executable, program, str(tmp_path), "100"],
        capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = done.stdout.split()
    there = {sighting.id: sighting for sighting in kept(tmp_path)}
    assert len(told) > 100
    for id_ in told:
        picture = there[id_].picture
        assert picture is not None
        Image.open(tmp_path / picture).load()

    record(tmp_path)
    with read_database(tmp_path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("pictures/*/*/*/*")}
    assert files >= {sighting.picture for sighting in there.values() if sighting.picture}
    # Of each kill at most a picture without its row, or half of one.
    assert len(files) <= len(there) + 100


def without_table(folder: Path) -> bytes:
    """A database that says that it has tables, and has none."""
    with closing(open_database(folder)) as connection:
        connection.execute("DROP TABLE sightings")
    return (folder / "sightings.db").read_bytes()


@pytest.mark.parametrize("damage", ["overwritten", "cut", "empty", "no database", "no table"])
def test_a_damaged_database_is_set_aside_and_a_new_one_begun(
    tmp_path: Path, visit: MakeVisit, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    record(tmp_path, *(visit() for _ in range(200)))
    database = tmp_path / "sightings.db"
    content = database.read_bytes()
    damaged = {
        "overwritten": content[:5000] + b"\xa5" * 20_000 + content[25_000:],
        "cut": content[: len(content) // 2 + 100],
        "empty": b"",
        "no table": without_table(tmp_path / "other"),
        "no database": b"not a database at all" * 1000,
    }[damage]
    database.write_bytes(damaged)

    assert len(record(tmp_path, visit("Mallard"))) == 1
    (aside,) = tmp_path.glob("sightings.db.damaged-*")
    assert aside.read_bytes() == damaged
    assert f"{database} is damaged; it was set aside as {aside.name}" in caplog.text


def test_a_database_that_is_damaged_while_it_is_open_is_set_aside(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worn card does it; every ten minutes, all of it is read."""
    monkeypatch.setattr(recorder, "_PRUNE_SECONDS", 0.0)
    record(tmp_path, *(visit() for _ in range(200)))
    keeping = Recorder(tmp_path)
    keeping.take(visit())
    wait_until(lambda: len(kept(tmp_path)) == 201)
    with (tmp_path / "sightings.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 100_000)
    for name in ("sightings.db-wal", "sightings.db-shm"):
        with (tmp_path / name).open("r+b") as file:
            file.write(b"\xa5" * file.seek(0, os.SEEK_END))
    keeping.take(visit())
    wait_until(lambda: bool(list(tmp_path.glob("sightings.db.damaged-*"))))
    keeping.take(visit("Mallard"))
    keeping.close()

    assert kept(tmp_path)[-1].name == "Mallard"


def test_a_store_where_nothing_may_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot keep sightings in .*file"):
        Recorder(tmp_path / "file")
    (tmp_path / "store" / "sightings.db").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"cannot keep sightings in .*store"):
        Recorder(tmp_path / "store")


def test_a_store_of_a_later_birdedge_is_refused(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="later birdedge"):
        Recorder(tmp_path)


def test_a_store_that_is_taken_away_and_brought_back(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stick that was pulled out; the next visit finds the folder gone."""
    monkeypatch.setattr(recorder, "_RETRY_SECONDS", 0.1)
    store = tmp_path / "stick"
    keeping = Recorder(store)
    keeping.take(visit())
    wait_until(lambda: len(kept(store)) == 1)
    shutil.rmtree(store)
    keeping.take(visit("Mallard"))
    wait_until(lambda: (store / "sightings.db").is_file() and len(kept(store)) == 1)
    keeping.close()

    assert [sighting.name for sighting in kept(store)] == ["Mallard"]


def test_one_visit_that_cannot_be_kept_does_not_hide_the_others(
    tmp_path: Path, visit: MakeVisit, caplog: pytest.LogCaptureFixture
) -> None:
    broken = visit()
    odd = replace(broken, best=replace(broken.best, pixels=np.zeros((0, 0, 3), np.uint8)))

    assert [sighting.name for sighting in record(tmp_path, odd, visit("Mallard"))] == ["Mallard"]
    assert "a sighting is lost" in caplog.text


def test_a_recorder_that_cannot_write_at_the_end_says_what_is_lost(
    tmp_path: Path, visit: MakeVisit, caplog: pytest.LogCaptureFixture
) -> None:
    keeping = Recorder(tmp_path)
    with little_space(0):
        keeping.take(visit())
        keeping.close()

    assert "1 sightings could not be kept" in caplog.text
    assert caplog.records[-1].levelno == logging.ERROR


def test_it_never_stops_the_camera(tmp_path: Path, visit: MakeVisit) -> None:
    """While another process holds the database, taking a visit takes no time."""
    keeping = Recorder(tmp_path)
    with closing(sqlite3.connect(tmp_path / "sightings.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        for _ in range(50):
            keeping.take(visit())
        taken = time.monotonic() - start
        time.sleep(0.5)
        other.execute("ROLLBACK")
    keeping.close()

    assert taken < 0.5
    assert len(kept(tmp_path)) == 50
    assert signal.getsignal(signal.SIGINT) is not None
