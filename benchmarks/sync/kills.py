"""What a device finds after its sync was killed at any moment."""

import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from pydantic import ValidationError

from ...runtime.bundle import ModelBundle
from ...runtime.default import CURRENT
from ...runtime.errors import BirdedgeError
from ...runtime.installed import Installed
from ...runtime.model_state import STATE, State
from .keeper import environment, keeper, tell_machine

_BEFORE, _DOWNLOAD, _TRIAL, _SWAPPED, _ENDED = (
    "before the download", "during the download", "while it was put together or tried",
    "after the swap", "after its end",
)  # fmt: skip

_LATEST = 1.1
"""Of a sync's usual time: its last moments, too, are to be struck."""

_KNOWN = (
    CURRENT, STATE, ".state.lock", "health-*.json",
    "sync/.lock", "sync/*.json", "sync/root_history/*.json",
)  # fmt: skip
"""What lies beside a device's models when all is done; the rest is left over."""


def kills(
    times: Annotated[int, typer.Option(min=1)] = 200,
    limit_kb: Annotated[
        float, typer.Option(min=100, help="The line's kilobytes a second.")
    ] = 4000.0,
    seed: int = 0,
) -> None:
    """`kill -9` of a sync at random moments: what a device that starts afterwards finds.

    There are four releases, of which a device keeps two. One of the others is offered each time:
    the one whose sync was killed before, so that what came of it is gone on from, or another one.
    A killed sync's trial goes on for a moment, beside the next sync. This is a killed process, not
    a power cut: what was written, the kernel still writes.
    """
    tell_machine()
    rng = np.random.default_rng(seed)
    struck: Counter[str] = Counter()
    problems: list[str] = []
    largest = 0
    with keeper() as repository:
        installed = Installed(repository.folder / "device")
        bundles = [repository.bundle(f"release-{number}") for number in range(4)]
        durations = []
        for bundle in bundles:
            repository.publish(bundle)
            begin = time.monotonic()
            repository.sync(installed.folder, limit_kb)
            durations.append(time.monotonic() - begin)
        usual = statistics.median(durations[1:])
        wanted = bundles[-1]
        command = repository.command(installed.folder, limit_kb)
        for _ in range(times):
            before = _traces(installed)
            kept = (before.current, _digest_before(installed))
            others = [bundle for bundle in bundles if bundle.digest() not in kept]
            offered, wanted = wanted, others[int(rng.integers(len(others)))]
            if wanted is not offered:
                repository.publish(wanted)
            moment = float(rng.uniform(0, _LATEST * usual))
            failure = _killed(command, moment)
            after = _traces(installed)
            where = _struck(before, after, wanted.digest()) if failure is None else _ENDED
            struck[where] += 1
            problem = failure or _problem(installed, {before.current, wanted.digest()})
            if problem:
                problems.append(f"{moment:.3f} s, {where}: {problem}")
            largest = max(largest, _disk_bytes(installed.folder.rglob("*")))
        told = repository.sync(installed.folder, limit_kb)
        whole = not _problem(installed, {wanted.digest()})
        left = _left_over(installed)
        used = {path for path in installed.folder.rglob("*") if path not in left}
        orphans = _disk_bytes(installed.folder.rglob("*")) - _disk_bytes(used)
        size = sum(entry.bytes for entry in wanted.manifest.files())
    print(f"{times} kills, up to {_LATEST} x {usual:.2f} s after the start, when most syncs end:")
    for where in (_BEFORE, _DOWNLOAD, _TRIAL, _SWAPPED, _ENDED):
        print(f"  {struck[where]:4d} {where}")
    print(f"bad states: {len(problems)} (wanted 0)")
    for problem in problems:
        print(f"  {problem}")
    print(
        f"an undisturbed sync afterwards: {told['state']}, "
        f"{'the newest is whole and in use' if whole else 'the newest is NOT in use'}"
    )
    print(
        f"largest folder after a kill {largest / 1e6:.2f} MB (at most "
        f"{3 * size / 1e6:.2f}: two models and the one that is put together; beside them, metadata)"
    )
    print(f"left over after that sync: {orphans:,} bytes in {len(left)} files (wanted 0)")
    for path in left:
        print(f"  {path.relative_to(installed.folder)}")


@dataclass(frozen=True)
class _Traces:
    """What a device's folder tells of how far a sync has come."""

    current: str
    folders: frozenset[str]
    partial: frozenset[tuple[str, int]]


def _traces(installed: Installed) -> _Traces:
    partial = (installed.folder / "sync" / "partial").glob("*")
    return _Traces(
        installed.current().digest,
        frozenset(path.name for path in installed.folder.iterdir() if path.is_dir()),
        frozenset((path.name, path.stat().st_size) for path in partial),
    )


def _struck(before: _Traces, after: _Traces, wanted: str) -> str:
    if after.current == wanted:
        return _SWAPPED
    if after.folders - before.folders:
        return _TRIAL
    return _DOWNLOAD if after.partial - before.partial else _BEFORE


def _killed(command: list[str], moment: float) -> str | None:
    """Kill a process so many seconds after its start; if it ended before, why it failed, or ""."""
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            told = process.communicate(timeout=moment)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return None if process.returncode < 0 else ""
    return told.strip() if process.returncode else ""


def _problem(installed: Installed, allowed: set[str]) -> str:
    """Why a device cannot start well; empty if it can."""
    try:
        current = installed.current()
        ModelBundle.load(current.folder)
        if (installed.folder / STATE).exists():
            State.model_validate_json((installed.folder / STATE).read_bytes())
    except (BirdedgeError, ValidationError) as error:
        return str(error)
    # Where a link leads nowhere the model inside birdedge helps out; here that is a failure.
    return "" if current.digest in allowed else f"{current.model} is in use"


def _digest_before(installed: Installed) -> str | None:
    """Of the model before the one in use."""
    name = installed.state().previous
    return next((model.digest for model in installed.models() if model.name == name), None)


def _left_over(installed: Installed) -> list[Path]:
    kept = {installed.current().name, installed.state().previous}
    found = []
    for path in sorted(installed.folder.rglob("*")):
        name = path.relative_to(installed.folder)
        known = name.parts[0] in kept or any(fnmatch(str(name), form) for form in _KNOWN)
        if (path.is_symlink() or path.is_file()) and not known:
            found.append(path)
    return found


def _disk_bytes(paths: Iterable[Path]) -> int:
    """Bytes of files, each once, however many names it has."""
    found = (path.lstat() for path in paths if path.is_file() and not path.is_symlink())
    return sum({status.st_ino: status.st_size for status in found}.values())
