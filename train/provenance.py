"""Where a network came from: the commit of the code, a digest of the photos, other networks."""

import hashlib
import subprocess
from pathlib import Path

from pydantic import ValidationError

from ..runtime.errors import DataError
from .checkpoint import Provenance
from .layouts import Photo
from .settings import Data


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


def may_have_learned(ancestor: Provenance, digest: str, data: Data) -> bool:
    """Whether a network may have learned from photos that are held out now.

    Args:
        ancestor: of that network; one that says nothing of its photos is not suspected.
        digest: `data_digest` of the training photos now, before any are held out.
        data: how they are cut now.
    """
    try:
        then = Data.of(ancestor.config)
    except (KeyError, ValidationError):
        return False
    same_photos = ancestor.data_digest == digest
    same_cut = (then.val_fraction, then.split_seed) == (data.val_fraction, data.split_seed)
    # In a folder whose photos have changed since, the same seed holds out others.
    return not (same_photos and same_cut) and (same_photos or then.root == data.root)


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
