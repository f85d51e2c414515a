"""What patterns such as ``photos/**/*.jpg`` name.

For a ``**``, `glob` goes through links to folders, where two that lead upwards never end, and it
passes in silence over what may not be read. So folders are walked here, and `glob` asked in each.
"""

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

from . import is_hidden, is_pattern

_DEEP = re.compile(r"((?:.*?/)??)\*\*(?:/+\*\*)*(?:/+(.*))?", re.DOTALL)
"""What stands before the first ``**`` and after it; several in a row say no more than one."""


def files_by_glob(pattern: str) -> list[str]:
    """What a pattern such as ``photos/**/*.jpg`` names, sorted.

    Of a folder and what lies in it only the folder is named; the pattern itself if nothing is.
    Folders where the pattern looks and that may not be read are named, too. ``**`` goes through no
    links to folders, as `pictures_in_folder` does not.
    """
    named = sorted(set(_matching(pattern)))
    folders = {Path(name) for name in named if _is_folder(name)}
    return [name for name in named if not folders.intersection(Path(name).parents)] or [pattern]


def _matching(pattern: str) -> Iterator[str]:
    deep = _DEEP.fullmatch(pattern)
    if deep is None:
        folder = os.path.dirname(pattern.rstrip("/"))  # noqa: PTH120 - may be empty
        yield from _closed(_found(folder or "."))
        yield from _found(pattern)
    elif not deep[2]:
        # All there is in a folder: the folder.
        yield from _found(deep[1]) if deep[1] else _without_links(_matching("*"))
    else:
        closed: list[str] = []
        for place in _walked(deep[1], closed):
            found = _matching(glob.escape(place) + deep[2])
            # A link that is asked for by its name is meant.
            by_name = not is_pattern(deep[2].rstrip("/").rpartition("/")[2])
            yield from found if by_name else _without_links(found)
        yield from closed


def _walked(start: str, closed: list[str]) -> Iterator[str]:
    """Folders and all below them, each as what names in it begin with.

    Args:
        start: a pattern of the uppermost; empty, the current one.
        closed: takes those that may not be read.
    """

    def note(error: OSError) -> None:
        if isinstance(error, PermissionError):
            closed.append(error.filename if start else error.filename.removeprefix("./"))

    for top in _found(start) if start else ["."]:
        for place, folders, _ in os.walk(top, onerror=note):
            folders[:] = [name for name in folders if not is_hidden(name)]
            inside = os.path.join(place, "")  # noqa: PTH118 - with a slash at its end
            yield inside if start else inside.removeprefix("./")


def _found(pattern: str) -> list[str]:
    return glob.glob(pattern)  # noqa: PTH207 - absolute patterns too


def _closed(folders: list[str]) -> Iterator[str]:
    """Those that may not be read."""
    for folder in folders:
        try:
            os.scandir(folder).close()
        except PermissionError:
            yield folder
        except OSError:  # it is no folder
            pass


def _is_folder(name: str) -> bool:
    return os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises for names that cannot be


def _without_links(names: Iterator[str]) -> Iterator[str]:
    """All but links to folders."""
    return (name for name in names if not (Path(name).is_symlink() and _is_folder(name)))
