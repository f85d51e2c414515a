"""Stages of a compression: folders that are made once, and kept when a later stage fails."""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ..runtime.errors import BackendError, BirdedgeError

_INPUTS, _RESULT = "inputs.json", "result.json"

_LITTLE = 1 << 20
"""Bytes without which a disk counts as full."""

Make = Callable[[Path], dict[str, Any]]


def stage(folder: Path, inputs: Mapping[str, Any], make: Make) -> dict[str, Any]:
    """Make a stage's folder, unless it was made before from the same inputs.

    A stage that is interrupted leaves its folder under the name ``FOLDER.partial``. The next try
    gets it back as it was, if its inputs are still the same, and may go on from there.

    Args:
        folder: to be made, whole or not at all.
        inputs: all that decides what comes out, as JSON.
        make: writes the stage's files into an existing folder and returns its result, as JSON.

    Returns:
        What `make` returned, now or then.

    Raises:
        BirdedgeError: the folder cannot be written, or holds something else.
    """
    wanted = json.loads(json.dumps(inputs))
    if _read(folder / _INPUTS) == wanted:
        result = _read(folder / _RESULT)
        if result is not None:
            return result
    if folder.exists() and not (folder / _INPUTS).is_file():
        raise BirdedgeError(f"{folder} is none of birdedge's; choose another --work")
    partial = folder.with_name(folder.name + ".partial")
    try:
        if _read(partial / _INPUTS) != wanted:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            _write(partial / _INPUTS, wanted)
        try:
            result = make(partial)
        except BackendError:
            _check_space(partial)  # converters in C++ fail without saying that it was the disk
            raise
        _write(partial / _RESULT, result)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError as error:
        raise BirdedgeError(f"cannot write {folder}: {error.strerror or error}") from error
    return result


def beside(out: Path) -> Path:
    """Where stages wait for the folder they belong to."""
    return Path(f"{out.resolve()}.work")  # "." has no name of its own


def remove_stages(work: Path) -> None:
    """Remove all stages in a folder, whole and partial, and the folder if nothing else is in it."""
    for inputs in [*work.glob(f"*/{_INPUTS}")]:
        shutil.rmtree(inputs.parent, ignore_errors=True)
    with suppress(OSError):
        work.rmdir()


def _check_space(folder: Path) -> None:
    with TemporaryFile(dir=folder) as file:
        file.write(bytes(_LITTLE))
        file.flush()


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no whole one."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
