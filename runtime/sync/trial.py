"""A new model, tried on this machine in a process of its own before it is put to use.

What a model does to its process, a crash, a hang or all memory taken, it does to that one alone.
"""

import json
import math
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ..backends import default_threads
from ..bundle import ModelBundle
from ..classifier import Classifier
from ..errors import BackendError, BirdedgeError, MissingExtraError, SyncError
from ..golden import draw_golden_inputs, self_test
from ..threads import MAX_THREADS
from .release import Budget

_LIMIT_SECONDS = 300.0
_WARM_UP, _ROUNDS = 3, 15


class WrongModelError(SyncError):
    """A model computes something else on this machine than where it was made."""


@dataclass(frozen=True)
class Measured:
    """What a model did on this machine.

    Attributes:
        target: that it will run as.
        latency: median seconds of one inference.
        reference: the same of the model in use, in the same rounds; none if that did not run.
        memory: bytes at the peak of a process that loads and runs it.
    """

    target: str
    latency: float
    reference: float | None
    memory: int


def try_out(
    folder: Path, in_use: Path, budget: Budget, limit_seconds: float = _LIMIT_SECONDS
) -> Measured:
    """Run a model's self-test, aside, and see what it costs.

    Args:
        folder: the new bundle's.
        in_use: the folder of the bundle that it is to follow.
        budget: what it may cost.
        limit_seconds: after which it hangs.

    Raises:
        WrongModelError: it computes something else than where it was made.
        SyncError: it fails otherwise, hangs, or is too slow or too large for this machine; the
            message says which.
    """
    command = [
        sys.executable, "-m", "birdedge.runtime.sync.trial",
        str(folder), str(in_use), str(math.ceil(limit_seconds)),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGALRM:
        raise SyncError(f"its self-test did not end within {limit_seconds:.0f} s")
    if done.returncode < 0:
        raise SyncError(f"its self-test died of signal {-done.returncode}")
    lines = done.stdout.splitlines()
    try:
        told = json.loads(lines[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SyncError(f"its self-test failed: {last}") from None
    if "failure" in told:
        kind = WrongModelError if told["wrong"] else SyncError
        raise kind(f"its self-test failed: {told['failure']}")
    measured = Measured(**told)
    _within(measured, budget)
    return measured


def _within(measured: Measured, budget: Budget) -> None:
    milliseconds = measured.latency * 1000
    if budget.latency_ms is not None and milliseconds > budget.latency_ms:
        raise SyncError(
            f"too slow here: {milliseconds:.1f} ms for one picture, {budget.latency_ms:g} allowed"
        )
    if budget.slowdown is not None and measured.reference is not None:
        slowdown = measured.latency / measured.reference
        if slowdown > budget.slowdown:
            raise SyncError(
                f"too slow here: {slowdown:.1f} times the model in use, {budget.slowdown:g} allowed"
            )
    if budget.memory_mb is not None and measured.memory > budget.memory_mb * 1e6:
        raise SyncError(
            f"too large here: {measured.memory / 1e6:.0f} MB, {budget.memory_mb:g} allowed"
        )


def _measure(folder: Path, in_use: Path) -> Measured:
    target, threads = _as_in_service()
    bundle = ModelBundle.load(folder)
    ran = []
    for name in bundle.manifest.targets:
        with suppress(MissingExtraError):
            test = self_test(bundle, name, threads)
            if not test.passed:
                raise WrongModelError(
                    f"{name} is off by {test.largest_difference:.4g}, {test.tolerance:.4g} allowed"
                )
            ran.append(name)
    if not ran:
        raise BackendError("no engine of its targets is installed here")
    runs = {"new": Classifier(bundle, target, threads)}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with suppress(BirdedgeError):
        runs["reference"] = Classifier(ModelBundle.load(in_use), target, threads)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(_WARM_UP + _ROUNDS):
        for name, classifier in runs.items():
            size = classifier.bundle.manifest.preprocess.input_size
            picture = draw_golden_inputs(size)[:1]
            start = time.perf_counter()
            classifier.logits(picture)
            if turn >= _WARM_UP:
                times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    return Measured(runs["new"].target, medians["new"], medians.get("reference"), memory)


def _as_in_service() -> tuple[str, int]:
    """Target and threads of `birdedge classify`, whose settings the service of sync reads too."""
    given = os.environ.get("BIRDEDGE_THREADS", "")
    threads = int(given) if given.isdecimal() else 0
    return (
        os.environ.get("BIRDEDGE_TARGET") or "auto",
        threads if 1 <= threads <= MAX_THREADS else default_threads(),
    )


def _main() -> None:
    # It ends by itself, for who started it may be killed meanwhile.
    signal.alarm(int(sys.argv[3]))
    # Of all processes, this one goes first where memory runs out.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    try:
        told = asdict(_measure(Path(sys.argv[1]), Path(sys.argv[2])))
    except BirdedgeError as error:
        told = {"failure": str(error), "wrong": isinstance(error, WrongModelError)}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    _main()
