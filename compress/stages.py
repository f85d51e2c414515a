"""Stages of a compression: folders that are made once, and kept when a later stage fails."""

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ..runtime.errors import BackendError, BirdedgeError

PARTIAL = ".partial"
"""What the name of an interrupted stage's folder ends with."""

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
    wanted = _round_trip(inputs)
    if is_made_from(folder, inputs) and (done := read_result(folder)) is not None:
        return done
    folder, partial = folder.resolve(), interrupted(folder)
    for place in (folder, partial):
        if _is_of_others(place):
            raise BirdedgeError(f"{place} is none of birdedge's; choose another folder")
    try:
        if _read(partial / _INPUTS) != wanted:
            _remove(partial)
            partial.mkdir(parents=True)
            _write(partial / _INPUTS, wanted)
        # Halves of safetensors' own, of a process that was killed.
        for draft in partial.rglob(".tmp*"):
            draft.unlink()
        try:
            result = make(partial)
        except BackendError:
            _check_space(partial)  # converters in C++ fail without saying that it was the disk
            raise
        _check_space(partial)  # or do not even fail
        _write(partial / _RESULT, {"result": result, "files": _sizes(partial)})
        _remove(folder)
        partial.rename(folder)
    except OSError as error:
        raise BirdedgeError(f"cannot write {folder}: {error.strerror or error}") from error
    return result


def is_made_from(folder: Path, inputs: Mapping[str, Any]) -> bool:
    """Whether a folder is that of a stage with these inputs, whole or not."""
    return read_inputs(folder) == _round_trip(inputs)


def read_inputs(folder: Path) -> dict[str, Any] | None:
    """What a stage's folder was made from; None if it is no such folder."""
    return _read(folder / _INPUTS)


def read_result(folder: Path) -> dict[str, Any] | None:
    """What a stage's `make` returned; None if the folder is not whole, as it was left."""
    done = _read(folder / _RESULT)
    if done is None or done.get("files") != _sizes(folder):
        return None
    result: dict[str, Any] = done["result"]
    return result


def interrupted(folder: Path) -> Path:
    """Where a stage is until it is whole."""
    folder = folder.resolve()  # "." has no name of its own
    return folder.with_name(folder.name + PARTIAL)


def beside(out: Path) -> Path:
    """Where stages wait for the folder they belong to."""
    return Path(f"{out.resolve()}.work")  # "." has no name of its own


def answers_beside(out: Path) -> Path:
    """Where answers to photos wait for a bundle, apart from what a compression may have left."""
    return beside(out) / "verified"


def check_apart(place: Path, other: Path, option: str) -> None:
    """See that what is to be written does not lie in a folder that is read, or written whole.

    Raises:
        BirdedgeError: it does; `option` says where else it may go.
    """
    if place.resolve().is_relative_to(other.resolve()):
        raise BirdedgeError(f"{place} lies in {other}; choose another {option}")


def remove_stages(work: Path, but: Collection[str] = ()) -> None:
    """Remove all stages in a folder, whole and partial, and the folder if nothing else is in it.

    Args:
        work: the folder.
        but: names of stages that stay.
    """
    for inputs in [*work.glob(f"*/{_INPUTS}")]:
        if inputs.parent.name.removesuffix(PARTIAL) not in but:
            _remove(inputs.parent)
    with suppress(OSError):
        work.rmdir()


def _round_trip(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """As they come back from a file: tuples are lists."""
    back: dict[str, Any] = json.loads(json.dumps(inputs))
    return back


def _is_of_others(folder: Path) -> bool:
    with suppress(OSError):
        # One that was killed as it began has no more than half a note of its inputs.
        more = any(path.name != _INPUTS for path in folder.iterdir())
        return more and read_inputs(folder) is None
    return folder.exists()


def _remove(folder: Path) -> None:
    """Remove a stage; cut short, what is left of it can still be told for one."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _INPUTS:
                path.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _sizes(folder: Path) -> dict[str, int]:
    """Size of each file of a stage in bytes, by its name."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != _RESULT
    }


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
