"""Exports written whole or not at all, and found by name."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from .. import plugins
from ..errors import StoreError
from .exports import GROUP, Export


def load_export(name: str) -> Export:
    """The format of that name.

    Raises:
        StoreError: there is none.
    """
    point = plugins.find(GROUP, name)
    if point is None:
        raise StoreError(
            f"there is no format {name!r}; there are {', '.join(plugins.names(GROUP))}"
        )
    export: Export = point.load()
    return export


def export_to(out: Path | None, write: Callable[[Path], None], *, overwrite: bool) -> None:
    """Write a file or folder under another name and rename it; without one, to standard output.

    Args:
        out: the file or folder.
        write: writes what it is given, a file or a folder that is not there yet.
        overwrite: whether what is there may be replaced.

    Raises:
        StoreError: something is there, or it cannot be written; or it is a folder and has no name.
    """
    if out is not None and out.exists() and not overwrite:
        raise StoreError(f"{out} exists already; choose another --out, or use --force")
    text = ""
    try:
        with tempfile.TemporaryDirectory(
            prefix=".birdedge-", dir=out.absolute().parent if out is not None else None
        ) as folder:
            draft = Path(folder) / "draft"
            write(draft)
            if out is not None:
                if out.is_dir() and not _may_go(out, draft):
                    raise StoreError(f"{out} is a folder of other things; it is not replaced")
                _replace(draft, out, Path(folder))
            elif draft.is_dir():
                raise StoreError("this format is a folder of files; name it with --out FOLDER")
            else:
                with draft.open(encoding="utf-8", newline="") as file:
                    text = file.read()
    except OSError as error:
        where = out.parent if out is not None else "a temporary file"
        raise StoreError(f"cannot write to {where}: {error.strerror or error}") from error
    if out is None:
        # Not in the block above: a reader that went away has nothing to do with the file.
        sys.stdout.write(text)


def _may_go(folder: Path, draft: Path) -> bool:
    """Whether a folder is empty, or an older export of the same kind."""
    names = {path.name for path in folder.iterdir()}
    return not names or (draft.is_dir() and {path.name for path in draft.iterdir()} >= names)


def _replace(draft: Path, out: Path, aside: Path) -> None:
    """A folder cannot be renamed over another; the older one steps aside for that moment."""
    older = aside / "older"
    if out.exists():
        out.rename(older)
    try:
        draft.rename(out)
    except OSError:
        if older.exists():
            older.rename(out)
        raise
