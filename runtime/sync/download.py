"""A file from the repository, over a line that may break: what has come is gone on from."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import urllib3
from tuf.api.exceptions import DownloadHTTPError, SlowRetrievalError
from tuf.api.metadata import TargetFile

from ..backoff import pause
from ..errors import SyncError
from .line import Line
from .trust import why

_TRIES = 5
"""In a row that bring hardly anything; then the line is given up until the next sync."""

_SOME = 2**14

_GONE = 416
"""The server has less of the file than we have: ours is another one."""

Progress = Callable[[int], None]


def download(
    line: Line,
    url: str,
    info: TargetFile,
    path: Path,
    progress: Progress = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Bring a file to a path, going on from what lies there, and check what has come.

    Args:
        line: to the repository.
        url: of the file.
        info: its signed length and hashes.
        path: of what has come so far; unless it is wrong it stays there after a failure.
        progress: told of bytes as they come, and of those that were there.
        sleep: between two tries.

    Raises:
        SyncError: it does not come, or is not what was signed.
        OSError: it cannot be written.
    """
    progress(_size(path))
    # What came yesterday may have been torn by a power cut: then it all comes once more.
    for old in (_size(path) > 0, False):
        if info.length == 0:
            path.touch()
        _fetch(line, url, info, path, progress, sleep)
        if _is_right(path, info):
            return
        path.unlink()
        if not old:
            break
    raise SyncError(
        f"tampered file refused: {info.path} is not the one that was signed", "LengthOrHashMismatch"
    )


def _fetch(
    line: Line,
    url: str,
    info: TargetFile,
    path: Path,
    progress: Progress,
    sleep: Callable[[float], None],
) -> None:
    """Ask until all has come."""
    name = info.path
    tries = 0
    while _size(path) < info.length:
        before = _size(path)
        try:
            _go_on(line, url, info, path, progress)
        except (DownloadHTTPError, SlowRetrievalError) as error:
            if isinstance(error, DownloadHTTPError) and error.status_code == _GONE:
                path.unlink(missing_ok=True)
            raise SyncError(why(error, line, name), type(error).__name__) from error
        except (urllib3.exceptions.HTTPError, ConnectionError) as error:
            # A line that brings a few bytes and breaks is no line.
            tries = 0 if _size(path) - before >= _SOME else tries + 1
            if tries == _TRIES:
                raise SyncError(why(error, line, name), type(error).__name__) from error
            sleep(pause(tries))
        except FileNotFoundError as error:
            missing = DownloadHTTPError("there is no such file", 404)
            raise SyncError(why(missing, line, name), "DownloadHTTPError") from error
        else:
            if _size(path) == before:
                raise SyncError(f"{name} ends after {before:,} of {info.length:,} bytes")


def _go_on(line: Line, url: str, info: TargetFile, path: Path, progress: Progress) -> None:
    with (
        line.open(url, _size(path)) as (start, chunks),
        path.open("r+b" if start else "wb") as file,
    ):
        file.seek(start)
        for chunk in chunks:
            if file.tell() + len(chunk) > info.length:
                file.truncate(0)
                raise SyncError(
                    f"oversize refused: {info.path} is larger than the {info.length:,} bytes that "
                    "were signed"
                )
            file.write(chunk)
            progress(len(chunk))
        file.flush()
        os.fsync(file.fileno())


def _is_right(path: Path, info: TargetFile) -> bool:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest == info.hashes["sha256"]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
