"""The file that sightings are kept in: SQLite, in a form that survives a killed process."""

import errno
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ..errors import StoreError

NAME = "sightings.db"

_MIGRATIONS = (
    (
        """
    CREATE TABLE sightings (
        id TEXT PRIMARY KEY,
        source TEXT NOT NULL,
        start TEXT NOT NULL,
        seconds REAL NOT NULL,
        scientific_name TEXT,
        common_name TEXT,
        probability REAL,
        ebird_code TEXT,
        unweighted_scientific_name TEXT,
        unweighted_common_name TEXT,
        unweighted_probability REAL,
        runners_up TEXT NOT NULL,
        votes INTEGER NOT NULL,
        model_id TEXT NOT NULL,
        box TEXT NOT NULL,
        pictured_at TEXT NOT NULL,
        picture TEXT,
        ended INTEGER NOT NULL,
        corrected_at TEXT,
        corrected_scientific_name TEXT,
        corrected_common_name TEXT,
        corrected_ebird_code TEXT,
        favourite INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
        "CREATE INDEX sightings_by_start ON sightings (start)",
    ),
)
"""Each brings the schema of its number to the next one; `PRAGMA user_version` says which it is."""

_HAS_SIGHTINGS = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sightings')"

_BUSY_SECONDS = 10.0

_BEGINNING_SECONDS = 0.5
"""Enough for another process to put the first page into a new database."""

_log = logging.getLogger(__name__)


def open_database(folder: Path) -> sqlite3.Connection:
    """Open a store's database, new or old; one that is damaged is set aside, loudly.

    Raises:
        StoreError: the folder cannot be written to, or the database is of a later birdedge.
        sqlite3.Error: there is no space left.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot keep sightings in {folder}: {error.strerror}") from error
    path = folder / NAME
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    aside = set_aside(path)
    _log.error("%s is damaged; it was set aside as %s, and a new one is begun", path, aside.name)
    return _open(path)


@contextmanager
def read_database(folder: Path) -> Iterator[sqlite3.Connection]:
    """A store's database that is there, open for as long as the block lasts.

    Raises:
        StoreError: there is none, it is damaged, busy, or may not be written to; also in the block.
    """
    path = folder / NAME
    if not path.is_file():
        raise StoreError(
            f"no sightings are kept in {folder}; `birdedge classify --camera 0` records there, and "
            "--store or BIRDEDGE_STORE names another folder"
        )
    try:
        with closing(_open(path)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error


def check_writable(connection: sqlite3.Connection) -> None:
    """Write nothing, but as if: a database that belongs to somebody else can be opened, too.

    Raises:
        sqlite3.Error: it may not be written to, or the disk is full.
    """
    with transaction(connection):
        connection.execute("DELETE FROM sightings WHERE FALSE")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is no database, or one that was overwritten in part."""
    return _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_full(error: Exception) -> bool:
    """Whether it may have been for want of space: without any, SQLite cannot even open a file."""
    if isinstance(error, sqlite3.Error):
        full = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}
        return _code(error) in full
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


def is_forbidden(error: sqlite3.Error) -> bool:
    """Whether the database may not be written to."""
    return _code(error) in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}


def set_aside(path: Path) -> Path:
    """Rename a database and what belongs to it; nothing is deleted."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _check_begun(path: Path) -> None:
    """See that a file is not one of which nothing is left, as after a power cut.

    A database that another process begins at this moment is empty, too, but not for long.
    """
    if not _is_empty(path):
        return
    time.sleep(_BEGINNING_SECONDS)
    others = (other for other in path.parent.iterdir() if not other.name.startswith(NAME))
    if _is_empty(path) and any(others):
        raise _damage("file is empty")


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return False


def _open(path: Path) -> sqlite3.Connection:
    _check_begun(path)
    is_new = not path.exists()
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        # SQLite's own LOWER knows no letters but those of English.
        connection.create_function("CASEFOLD", 1, _casefold, deterministic=True)
        # Readers and the one writer do not wait for each other, and a commit is one write.
        connection.execute("PRAGMA journal_mode = WAL")
        # A Pi loses its power rather than being shut down.
        connection.execute("PRAGMA synchronous = FULL")
        with closing(connection.execute("PRAGMA quick_check(1)")) as found:
            if found.fetchone()[0] != "ok":
                raise _damage("database disk image is malformed")
        _migrate(connection, path)
    except BaseException:
        connection.close()
        # On a full disk a new one gets no further than its name, and is none.
        if is_new and _is_empty(path):
            path.unlink()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    known = 0 < version <= len(_MIGRATIONS)
    if known and not connection.execute(_HAS_SIGHTINGS).fetchone()[0]:
        raise _damage("no such table: sightings")
    if version == len(_MIGRATIONS):
        return
    with transaction(connection):
        # Asked again, for another process may have been faster.
        version = _version(connection)
        if version > len(_MIGRATIONS):
            raise StoreError(f"{path} was written by a later birdedge (schema {version})")
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _casefold(text: str | None) -> str | None:
    return text and text.casefold()


def _code(error: sqlite3.Error) -> int:
    """The primary result code; see SQLite's "Result and Error Codes"."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _damage(message: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(message)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
