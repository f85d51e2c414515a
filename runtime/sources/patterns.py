"""What patterns such as ``photos/**/*.jpg`` name.

`glob` of the standard library goes through links to folders, where two that lead upwards never end,
and passes over what may not be read in silence; `pathlib` takes hidden files for others.
"""

import fnmatch
import os
from collections.abc import Iterator
from pathlib import Path

from . import is_pattern


def files_by_glob(pattern: str) -> list[str]:
    """What a pattern such as ``photos/**/*.jpg`` names, sorted.

    Of a folder and what lies in it only the folder is named; the pattern itself if nothing is.
    Folders where the pattern looks and that may not be read are named, too. ``**`` goes through no
    links to folders, as `pictures_in_folder` does not.
    """
    closed: list[str] = []
    parts = pattern.lstrip("/").split("/")
    found = set(_matching("/" if pattern.startswith("/") else "", parts, closed))
    named = sorted(found.union(closed))
    folders = {Path(name) for name in named if os.path.isdir(name)}  # noqa: PTH112 - never raises
    return [name for name in named if not folders.intersection(Path(name).parents)] or [pattern]


def _matching(
    place: str, parts: list[str], closed: list[str], listed: list[os.DirEntry[str]] | None = None
) -> Iterator[str]:
    """What lies in a folder and matches a pattern's parts; some of it perhaps twice.

    Args:
        place: the folder; empty, the current one.
        parts: of the pattern, from there on.
        closed: takes the folders that may not be read.
        listed: what lies there, where a ``**`` has looked already.
    """
    part, rest = parts[0], parts[1:]
    if not is_pattern(part):
        # Not looked for in a listing: a folder may be entered that may not be listed.
        path = os.path.join(place, part)  # noqa: PTH118 - the last part may be empty, after a slash
        if rest:
            yield from _matching(path, rest, closed)
        elif os.path.lexists(path):
            yield path
    elif part == "**" and place and not rest:
        yield from _matching(place, [""], closed)
    elif part == "**":
        listed = _listed(place, closed)
        yield from _matching(place, rest or ["*"], closed, listed)
        for entry in listed if rest else ():
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield from _matching(_path(place, entry), parts, closed)
    else:
        entries = _listed(place, closed) if listed is None else listed
        for entry in (each for each in entries if _fits(each.name, part)):
            if listed is not None and entry.is_symlink() and _is_folder(entry):
                continue
            if not rest:
                yield _path(place, entry)
            elif _is_folder(entry):
                yield from _matching(_path(place, entry), rest, closed)


def _listed(place: str, closed: list[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place or ".") as entries:
            return list(entries)
    except PermissionError:
        closed.append(place or ".")
    except OSError:  # there is no such folder
        pass
    return []


def _fits(name: str, part: str) -> bool:
    """Whether a part of a pattern means a name; hidden ones have to be asked for."""
    hidden = name.startswith(".") and not part.startswith(".")
    return not hidden and fnmatch.fnmatchcase(name, part)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _path(place: str, entry: os.DirEntry[str]) -> str:
    return os.path.join(place, entry.name)  # noqa: PTH118 - as it was written, with its "./"
