"""Whom a device trusts in the first place."""

import json
from pathlib import Path

from ..errors import SyncError


def first_root(place: Path, given: Path | None) -> bytes:
    """The root of trust to begin with: the newest that was kept, unless another one is given.

    Args:
        place: where the framework's client keeps those that it trusted.
        given: a file that somebody names.

    Raises:
        SyncError: there is none, or the file is none.
    """
    kept = _kept_roots(place)
    if given is None:
        if not kept:
            raise SyncError(
                "nothing is trusted yet: --root names the root.json that the repository's keeper "
                "gave you"
            )
        return kept[0]
    try:
        content = given.read_bytes()
    except OSError as error:
        raise SyncError(f"cannot read {given}: {error.strerror}") from error
    if not _is_root(content):
        raise SyncError(f"{given} is no root.json; the repository's keeper has it")
    return kept[0] if content in kept else content


def _kept_roots(place: Path) -> list[bytes]:
    """Roots that were trusted, the newest first; a power cut may have left one of them empty."""
    paths = (place / "root_history").glob("*.root.json")
    newest_first = sorted(paths, key=lambda path: int(path.name.partition(".")[0]), reverse=True)
    return [content for path in newest_first if _is_root(content := path.read_bytes())]


def _is_root(content: bytes) -> bool:
    """Whether something can be a root of trust at all."""
    try:
        return bool(json.loads(content)["signed"]["_type"] == "root")
    except (ValueError, KeyError, TypeError):
        return False
