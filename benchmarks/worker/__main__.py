"""The worker's process: loads one contender, and carries out orders until nobody gives any."""

import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ...runtime.errors import BirdedgeError
from ..contenders import Contender
from ..runners import Runner, import_runner
from . import (
    Answer,
    AskEngine,
    Failed,
    Job,
    Order,
    PeakMemory,
    Progress,
    Start,
    TimeEndToEnd,
    TimeInference,
)

_PR_SET_PDEATHSIG = 1
"""See prctl(2)."""

_TOGETHER = 16
"""Pictures that are answered between two reports."""


def main() -> None:
    """Work off orders that come through the inherited descriptor."""
    arrived = time.monotonic()
    descriptor, spawned = int(sys.argv[1]), float(sys.argv[2])
    with Connection(descriptor) as orders:
        job: Job = orders.recv()
        _end_with_the_bench()
        if job.cores:
            os.sched_setaffinity(0, job.cores)
        try:
            runner, start = _start(job.contender, arrived - spawned)
            orders.send(start)
            while True:
                orders.send(_done(runner, orders.recv(), orders))
        except EOFError:
            return
        # Whatever an engine raises, it is this contender's own failure and no other's.
        except Exception as error:
            reason = str(error) if isinstance(error, BirdedgeError) else repr(error)
            orders.send(Failed(reason))


def _end_with_the_bench() -> None:
    """Whatever kills the bench: a process that stands still would not notice that nobody asks."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(contender: Contender, interpreter: float) -> tuple[Runner, Start]:
    stamps = [time.monotonic()]
    import numpy as np

    from ...runtime.bundle import ModelBundle
    from ...runtime.golden import draw_golden_inputs

    runner_class = import_runner(contender)
    stamps.append(time.monotonic())
    runner = runner_class.load(contender)
    stamps.append(time.monotonic())
    size = ModelBundle.load(contender.folder).manifest.preprocess.input_size
    drawn = draw_golden_inputs(size)
    runner.prepare(np.resize(drawn, (contender.batch, *drawn.shape[1:])))
    stamps.append(time.monotonic())
    runner.infer()
    first = time.monotonic() - stamps[-1]
    return runner, Start(interpreter, stamps[1] - stamps[0], stamps[2] - stamps[1], first)


def _done(runner: Any, order: Order, orders: Connection) -> object:
    if isinstance(order, TimeInference):
        runner.infer()
        return [_seconds(runner.infer) for _ in range(order.count)]
    if isinstance(order, TimeEndToEnd):
        photos = [path.read_bytes() for path in order.photos]
        return [_seconds(lambda photo=photo: runner.classify(photo)) for photo in photos]
    if isinstance(order, AskEngine):
        return list(runner.own_milliseconds(order.count))
    if isinstance(order, Answer):
        _answer(runner, order, orders)
        return None
    assert isinstance(order, PeakMemory)
    return _peak_megabytes()


def _seconds(run: Any) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _answer(runner: Any, order: Answer, orders: Connection) -> None:
    import numpy as np

    pictures = np.load(order.pictures, mmap_mode="r")
    parts = []
    for first in range(0, len(pictures), _TOGETHER):
        parts.append(runner.answer(np.asarray(pictures[first : first + _TOGETHER])))
        orders.send(Progress(min(first + _TOGETHER, len(pictures))))
    np.save(order.logits, np.concatenate(parts), allow_pickle=False)


def _peak_megabytes() -> float:
    """Of this program alone: what `getrusage` says may be that of who started it."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status tells no peak memory")


if __name__ == "__main__":
    main()
