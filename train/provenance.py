"""Where a network came from: the commit of the code, a digest of the photos.

A benchmark on a small computer tells of both, and has no torch to import.
"""

import hashlib
import subprocess
from pathlib import Path

from ..runtime.errors import DataError
from .layouts import Photo


def data_digest(photos: tuple[Photo, ...], root: Path) -> str:
    """SHA-256 over the relative names and sizes of photos: cheap, and it changes with the set.

    Raises:
        DataError: a photo cannot be looked at.
    """
    digest = hashlib.sha256()
    try:
        for photo in photos:
            name = photo.path.relative_to(root).as_posix()
            digest.update(f"{name}\0{photo.path.stat().st_size}\n".encode())
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from error
    return digest.hexdigest()


def git_commit() -> str:
    """Commit of the code that runs, with ``+changes`` if it is not as committed; or nothing."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True,
            check=True,
        ).stdout.strip()  # fmt: skip

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""
