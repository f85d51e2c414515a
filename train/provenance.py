"""Where a network came from: the commit of the code, a digest of the photos.

A benchmark on a small computer tells of both, and has no torch to import.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from ..runtime.errors import DataError
from .layouts import Photo

_CODE = ("--", ":(top)*.py", ":(top)*.yaml", ":(top)pyproject.toml", ":(top,exclude)tests")
"""What a run does hangs on these; a figure in the docs that a benchmark renews changes nothing."""


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
    """Commit of the code that runs, ``+`` and a digest of what was changed since, or nothing."""

    def git(*arguments: str) -> bytes:
        return subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, check=True
        ).stdout

    try:
        commit = git("rev-parse", "HEAD").decode().strip()
        top = Path(os.fsdecode(git("rev-parse", "--show-toplevel").rstrip(b"\n")))
        new = git("ls-files", "--others", "--exclude-standard", "--full-name", "-z", *_CODE)
        changes = git("diff", "HEAD", *_CODE) + new
        for name in filter(None, new.split(b"\0")):
            changes += (top / os.fsdecode(name)).read_bytes()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}+{hashlib.sha256(changes).hexdigest()[:8]}" if changes else commit
