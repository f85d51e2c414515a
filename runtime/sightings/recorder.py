"""Visits written down as they happen, by a thread of its own: a slow card must not stop the camera.

The disk may be full, the database damaged and the process killed: what was committed stays, what
could not be written yet waits, and classifying goes on.
"""

import logging
import math
import os
import queue
import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ..errors import StoreError
from ..machine import clock_is_synchronised
from ..predictions import Candidate
from ..visits import Visit
from . import Guess, Sighting
from .database import (
    NAME,
    check_writable,
    is_damage,
    is_forbidden,
    is_full,
    open_database,
    set_aside,
    transaction,
)
from .pictures import Budget, encoded, prune, remove_half_pictures, write_picture
from .rows import save
from .space import keep_spare, release_spare, shortage

_COMMIT_SECONDS = 5.0
"""Visits that go on are written together this often at most; one that ends, at once."""

_RETRY_SECONDS = 5.0
_TELL_SECONDS = 60.0
"""After a failure: when it is tried again, and how often it is told."""

_WAITING = 1000
_PICTURES_WAITING = 200
"""Sightings, and pictures of some 50 kB, that are kept in memory while none can be written."""

_PATIENCE_SECONDS = 20.0
"""How long a card that hangs is waited for at the end."""

_PRUNE_SECONDS = 600.0
_STEADY_CLOCK_SECONDS = 86_400.0
_STEADY = 60.0
"""A Pi has no clock of its own: until a time server set it, or it agreed with itself for a day, to
within a minute, nothing is deleted for its age."""

_RUNNERS_UP = 4

_log = logging.getLogger(__name__)


class Recorder:
    """Keeps visits in a store.

    Args:
        store: the store's folder; made if it is not there.
        budget: what pictures may take; the default one if not given.

    Raises:
        StoreError: the folder cannot be written to, or is of a later birdedge.
    """

    def __init__(self, store: Path, budget: Budget | None = None) -> None:
        self._store = store
        self._budget = budget or Budget()
        self._queue: queue.Queue[tuple[Sighting, bytes | None] | None] = queue.Queue(
            _PICTURES_WAITING
        )
        self._waiting: dict[str, tuple[Sighting, bytes | None]] = {}
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None
        self._told: dict[str, float] = {}
        self._failing = False
        self._full = False
        self._lost = 0
        self._clock = _clock_difference(), time.monotonic()
        self._try()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def take(self, visit: Visit) -> None:
        """Write a visit down soon; what is known of it already is brought up to date."""
        try:
            # As JPEG it is a twentieth of what it is, and many may have to wait.
            picture = encoded(visit.best.pixels) if visit.ended else None
            self._queue.put_nowait((sighting_of(visit), picture))
        except queue.Full:  # the card hangs
            self._lose("the store does not answer")
        # Whatever goes wrong with one visit, the others are to be kept, and watching goes on.
        except Exception as error:
            self._lose(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Write what waits, and stop; what cannot be written is told."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=_PATIENCE_SECONDS)
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive() or not self._queue.empty():
            _log.error("the store in %s does not answer; what waited is lost", self._store)

    def _try(self) -> None:
        """A folder that is no good is to be known at once; a disk that is full is waited for."""
        try:
            with closing(open_database(self._store)) as connection:
                check_writable(connection)
        except sqlite3.Error as error:
            if is_forbidden(error):
                raise StoreError(f"cannot keep sightings in {self._store}: {error}") from error
            self._fail(f"cannot keep sightings in {self._store} yet: {error}")

    def _run(self) -> None:
        due = pruned = time.monotonic()
        while True:
            now = time.monotonic()
            try:
                taken = self._queue.get(timeout=max(0.0, due - now) if self._waiting else 60.0)
                if taken is None:
                    break
                self._add(*taken)
                if taken[0].ended:
                    due = min(due, now)
            except queue.Empty:
                pass
            if self._waiting and time.monotonic() >= due:
                due = time.monotonic() + (_COMMIT_SECONDS if self._write() else _RETRY_SECONDS)
            if time.monotonic() - pruned > _PRUNE_SECONDS:
                pruned = time.monotonic()
                self._prune()
                keep_spare(self._store)
        if self._waiting and not self._write():
            _log.error("%d sightings could not be kept", len(self._waiting))
        self._disconnect()

    def _add(self, sighting: Sighting, picture: bytes | None) -> None:
        self._waiting[sighting.id] = sighting, picture
        if len(self._waiting) > _WAITING:
            del self._waiting[next(iter(self._waiting))]
            self._lose("too many sightings wait to be written")
        pictured = [id_ for id_, (_, jpeg) in self._waiting.items() if jpeg is not None]
        for id_ in pictured[:-_PICTURES_WAITING]:
            self._waiting[id_] = self._waiting[id_][0], None

    def _write(self) -> bool:
        """Write all that waits; false, and all waits on, if that cannot be done now."""
        return self._try_to_write() or (self._make_room() and self._try_to_write())

    def _try_to_write(self) -> bool:
        try:
            connection = self._connect()
            done = {}
            for sighting, jpeg in self._waiting.values():
                if jpeg is not None and sighting.picture is None:
                    name = write_picture(self._store, sighting, jpeg)
                    sighting = replace(sighting, picture=name)
                    self._waiting[sighting.id] = sighting, jpeg
                done[sighting.id] = sighting
            with transaction(connection):
                for sighting in done.values():
                    save(connection, sighting)
        # Whatever it is, it is tried again.
        except Exception as error:
            self._fail(f"cannot keep sightings in {self._store}: {_reason(error)}; trying again")
            self._mend(error)
            self._full = is_full(error)
            return False
        self._waiting.clear()
        if self._failing:
            _log.warning("sightings are kept in %s again", self._store)
            self._failing = False
            if self._lost:
                _log.error("%s sightings were lost so far", f"{self._lost:,}")
        return True

    def _connect(self) -> sqlite3.Connection:
        # A stick that was pulled out: SQLite would go on writing where nobody can read.
        if self._connection is not None and not self._is_there():
            self._disconnect()
        if self._connection is None:
            self._connection = open_database(self._store)
            keep_spare(self._store)
            self._file = (self._store / NAME).stat()
            remove_half_pictures(self._store)
        return self._connection

    def _is_there(self) -> bool:
        try:
            return self._file is not None and os.path.samestat(
                self._file, (self._store / NAME).stat()
            )
        except OSError:
            return False

    def _mend(self, error: Exception) -> None:
        """A database that is damaged is set aside; any other is opened anew."""
        self._disconnect()
        if isinstance(error, sqlite3.Error) and is_damage(error):
            with suppress(OSError):
                aside = set_aside(self._store / NAME)
                _log.error("the database is damaged; it was set aside as %s", aside.name)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _make_room(self) -> bool:
        """Where there was no space, delete old pictures; false where it was something else."""
        with suppress(OSError):
            if self._full and shortage(self._store):
                release_spare(self._store)
                self._prune(shortage(self._store))
                return True
        return False

    def _prune(self, missing: int = 0) -> None:
        if abs(_clock_difference() - self._clock[0]) > _STEADY:
            self._clock = _clock_difference(), time.monotonic()
        steady = (
            time.monotonic() - self._clock[1] > _STEADY_CLOCK_SECONDS
            or clock_is_synchronised() is True
        )
        # A picture whose row could not be written yet is nobody's, and goes first: it is written
        # again with its row.
        for id_, (sighting, jpeg) in self._waiting.items():
            if jpeg is not None:
                self._waiting[id_] = replace(sighting, picture=None), jpeg
        try:
            # Opened anew, it is read from the card, where it may have been damaged meanwhile.
            self._disconnect()
            now = datetime.now(UTC) if steady else None
            count = prune(self._connect(), self._store, self._budget, now, missing)
        # Whatever it is, sightings are to be kept.
        except Exception as error:
            self._tell("deleting", f"cannot delete old pictures in {self._store}: {_reason(error)}")
            self._mend(error)
            return
        if count and missing:
            _log.warning("the disk is full: %d old pictures were deleted for new ones", count)
        elif count:
            _log.info("%d old pictures were deleted", count)

    def _lose(self, reason: str) -> None:
        self._lost += 1
        so_far = f" ({self._lost:,} so far)" if self._lost > 1 else ""
        self._tell("losing", f"a sighting is lost{so_far}: {reason}")

    def _fail(self, line: str) -> None:
        # What was not told of needs no word when it is over.
        self._failing = self._tell("keeping", line) or self._failing

    def _tell(self, what: str, line: str) -> bool:
        """Say something, unless something of its kind was said a moment ago."""
        now = time.monotonic()
        if now - self._told.get(what, -math.inf) <= _TELL_SECONDS:
            return False
        self._told[what] = now
        _log.error("%s", line)
        return True


def sighting_of(visit: Visit) -> Sighting:
    """What is kept of a visit."""
    answer, unweighted = visit.prediction.answer, visit.unweighted.answer
    others = [other for other in visit.prediction.ranked if not answer or other != answer]
    return Sighting(
        id=visit.id,
        source=visit.source,
        start=visit.start,
        seconds=visit.seconds,
        answer=_guess(answer) if answer else None,
        unweighted=_guess(unweighted) if unweighted else None,
        runners_up=tuple(_guess(other) for other in others[:_RUNNERS_UP]),
        ebird_code=answer.label.ebird_code if answer else None,
        votes=visit.votes,
        model_id=visit.model_id,
        box=visit.best.box,
        pictured_at=visit.best.captured_at,
        ended=visit.ended,
    )


def _guess(candidate: Candidate) -> Guess:
    label = candidate.label
    return Guess(label.scientific_name, label.common_name, round(candidate.probability, 4))


def _clock_difference() -> float:
    """Seconds from when the machine was started to what its clock calls now."""
    return time.time() - time.monotonic()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
