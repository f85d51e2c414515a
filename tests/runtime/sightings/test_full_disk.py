"""A disk that is full costs no sighting: room is made, or it is waited for."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from disks import little_space
from recordings import MakeVisit, kept, record, wait_until

from birdedge.runtime.sightings import recorder, space
from birdedge.runtime.sightings.recorder import Recorder
from birdedge.runtime.visits import Visit


@pytest.mark.parametrize("most", [0, 16_000], ids=["no space", "space for pictures alone"])
def test_on_a_full_disk_it_waits_says_so_once_and_recovers(
    tmp_path: Path,
    visit: MakeVisit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    most: int,
) -> None:
    monkeypatch.setattr(recorder, "_RETRY_SECONDS", 0.1)
    record(tmp_path, *(visit() for _ in range(40)))
    keeping = Recorder(tmp_path)
    with little_space(most):
        for _ in range(20):
            keeping.take(visit("Mallard"))
        time.sleep(1.0)
        told = [line for line in caplog.messages if "cannot keep sightings" in line]
    wait_until(lambda: len(kept(tmp_path)) == 60)
    keeping.close()

    assert len(told) == 1
    assert all(sighting.picture for sighting in kept(tmp_path))
    assert f"sightings are kept in {tmp_path} again" in caplog.messages


def test_a_full_disk_at_the_start_is_waited_for(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_RETRY_SECONDS", 0.1)
    with little_space(0):
        keeping = Recorder(tmp_path)
        keeping.take(visit())
        time.sleep(0.3)
    wait_until(lambda: (tmp_path / "sightings.db").is_file() and len(kept(tmp_path)) == 1)
    keeping.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes; only root may have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Take all space that is left, as another program's log does."""
    with (disk / "log").open("ab", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "before it starts"])
def test_on_a_full_disk_old_pictures_make_room_for_new_sightings(
    small_disk: Path,
    visit: MakeVisit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    running: bool,
) -> None:
    monkeypatch.setattr(space, "_ROOM_BYTES", 1_300_000)

    def noisy(name: str) -> Visit:
        seen = visit(name)
        pixels = np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)
        return replace(seen, best=replace(seen.best, pixels=pixels))

    store = small_disk / "store"
    before = record(store, *(noisy("Blue Jay") for _ in range(60)))
    keeping = Recorder(store) if running else None
    if keeping is not None:
        keeping.take(noisy("Blue Jay"))
        wait_until(lambda: len(kept(store)) == 61)
    fill(small_disk)
    assert shutil.disk_usage(small_disk).free == 0
    keeping = keeping or Recorder(store)
    for _ in range(20):
        keeping.take(noisy("Mallard"))
    keeping.close()
    after = kept(store)

    assert [sighting.name for sighting in after[-20:]] == ["Mallard"] * 20
    assert all(sighting.picture for sighting in after[-20:])
    assert after[0].picture == before[0].picture, "the first of its species"
    gone = [sighting.picture is None for sighting in after[1:60]]
    assert gone == sorted(gone, reverse=True), "the oldest"
    assert 0 < sum(gone) < 59
    pictures = {path.relative_to(store).as_posix() for path in store.glob("pictures/*/*/*/*")}
    assert pictures == {sighting.picture for sighting in after if sighting.picture}
    assert f"sightings are kept in {store} again" in caplog.messages
    assert "old pictures were deleted for new ones" in caplog.text


def refuse_once(monkeypatch: pytest.MonkeyPatch, code: int) -> list[int]:
    """Have SQLite refuse the next row, and no other; the code is in the list when it has."""
    refused: list[int] = []
    save = recorder.save

    def refuse(*arguments: object) -> None:
        if not refused:
            refused.append(code)
            error = sqlite3.OperationalError("refused")
            error.sqlite_errorcode = code
            raise error
        save(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(recorder, "save", refuse)
    return refused


def test_on_a_disk_that_others_have_nearly_filled_no_picture_is_deleted_ahead_of_need(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "_ROOM_BYTES", 10**15)
    monkeypatch.setattr(recorder, "_PRUNE_SECONDS", 0.0)
    monkeypatch.setattr(recorder, "_RETRY_SECONDS", 0.05)
    pruned = []
    prune = recorder.prune
    monkeypatch.setattr(recorder, "prune", lambda *given: pruned.append(given) or prune(*given))
    record(tmp_path, *(visit() for _ in range(10)))
    refused = refuse_once(monkeypatch, sqlite3.SQLITE_BUSY)
    sightings = record(tmp_path, *(visit() for _ in range(10)))

    assert pruned and refused
    assert len(sightings) == 20
    assert all(sighting.picture for sighting in sightings)


def test_losses_are_counted_and_hide_no_other_fault(
    tmp_path: Path,
    visit: MakeVisit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(recorder, "_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(recorder, "_TELL_SECONDS", 0.0)
    monkeypatch.setattr(recorder, "_WAITING", 5)
    keeping = Recorder(tmp_path)
    with little_space(0):
        for _ in range(8):
            keeping.take(visit())
        wait_until(lambda: "3 so far" in caplog.text)
    wait_until(lambda: len(kept(tmp_path)) == 5)
    keeping.close()

    assert "cannot keep sightings" in caplog.text
    assert f"sightings are kept in {tmp_path} again" in caplog.messages
    assert "3 sightings were lost so far" in caplog.messages


def test_a_new_database_that_finds_no_space_leaves_nothing_to_be_set_aside(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though other things lie beside it, as the models of a service do."""
    monkeypatch.setattr(recorder, "_RETRY_SECONDS", 0.05)
    (tmp_path / "models").mkdir()
    with little_space(0):
        keeping = Recorder(tmp_path)
        keeping.take(visit())
        time.sleep(1.0)
    wait_until(lambda: (tmp_path / "sightings.db").is_file() and len(kept(tmp_path)) == 1)
    keeping.close()

    assert not [*tmp_path.glob("*damaged*")]


def test_what_went_wrong_with_deleting_is_no_news_of_keeping(
    tmp_path: Path,
    visit: MakeVisit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> int:
        raise OSError("not now")

    monkeypatch.setattr(recorder, "_PRUNE_SECONDS", 0.0)
    monkeypatch.setattr(recorder, "prune", refuse)
    record(tmp_path, visit(), visit(), visit())

    assert sum("cannot delete old pictures" in line for line in caplog.messages) == 1
    assert "again" not in caplog.text


def test_a_picture_whose_row_did_not_fit_is_not_lost_to_make_room(
    tmp_path: Path, visit: MakeVisit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk has space for a picture, but not for its row; then nothing may stay but that."""
    refused = refuse_once(monkeypatch, sqlite3.SQLITE_FULL)
    monkeypatch.setattr(space, "_ROOM_BYTES", 10**15)
    (sighting,) = record(tmp_path, visit())

    assert refused
    assert sighting.picture is not None
    assert (tmp_path / sighting.picture).is_file()
