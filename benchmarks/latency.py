"""How long inferences take: contenders in processes of their own, taken in turn round by round.

Noise and heat of the machine fall on all alike, and a ratio of two of them is worth more than
either.
"""

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event

from .contenders import BIRDEDGE, Contender
from .energy import EnergyMeter
from .tools import ToolFigure, ask_tool
from .worker import AskEngine, PeakMemory, Start, TimeEndToEnd, TimeInference
from .worker.process import Worker, WorkerError

_SLICE_SECONDS = 0.08
_MOST_IN_SLICE = 20
"""What a contender does in one round: so long, but not oftener; once at least."""

_WARM_SECONDS = 3.0
_WARM_WITHIN = 0.03
_WARM_WINDOW = 5
"""Warm is what takes as long as the time before, by the medians of so many; or after so long."""

_CONTENDER_BYTES = 200_000_000
_MOST_AT_ONCE = 48
"""What a contender needs in memory, generously; PyTorch needs more, and is one of few."""

_ASKED_SECONDS = 1.5
_ASKED_FEWEST, _ASKED_MOST = 10, 50
"""How long, and how often, engines' clocks and tools are asked for."""


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure.

    Attributes:
        rounds: at least.
        seconds: at least, of each heat's rounds.
        cold_starts: fresh processes for each contender.
        timeout: seconds after which a contender that does not answer is killed.
        at_once: contenders that are in memory together; as many as fit if none.
        pin: whether each is kept to as many cores as it has threads.
        tools: whether engines' own bench tools are asked, too.
        photos: to time from a file's bytes to a name; none if there are none.
    """

    rounds: int = 30
    seconds: float = 5.0
    cold_starts: int = 3
    timeout: float = 60.0
    at_once: int | None = None
    pin: bool = True
    tools: bool = True
    photos: tuple[Path, ...] = ()


@dataclass(eq=False)
class Timing:
    """What was measured of a contender; what is empty could not be.

    Attributes:
        contender: whose.
        problem: why it could not be measured, or not to the end.
        rounds: seconds of each inference, by round.
        reference: the reference's, measured in the same heat.
        end_to_end: seconds from a file's bytes to a name, by round.
        own: seconds that the engine itself tells.
        tool: what the engine's own tool says.
        starts: cold starts.
        peak_megabytes: the most memory.
        joules: that the machine took for one inference; none where nobody can say.
        stable: whether it was when the rounds began.
    """

    contender: Contender
    problem: str | None = None
    rounds: list[list[float]] = field(default_factory=list)
    reference: list[list[float]] = field(default_factory=list)
    end_to_end: list[list[float]] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    tool: ToolFigure | None = None
    starts: list[Start] = field(default_factory=list)
    peak_megabytes: float | None = None
    joules: float | None = None
    stable: bool = True


@dataclass(eq=False)
class _Lane:
    """A contender that runs: its process and how much it does in one round."""

    worker: Worker
    timing: Timing
    count: int = 1
    joules: list[float] = field(default_factory=list)


Tell = Callable[[str], object]


def measure(
    contenders: Sequence[Contender],
    plan: Plan,
    tell: Tell,
    stop: Event,
    meter: EnergyMeter | None = None,
    keep: Callable[[list[Timing]], object] = lambda timings: None,
) -> list[Timing]:
    """Measure contenders; the first one that runs is the reference, and takes part in every heat.

    Args:
        contenders: at least one.
        plan: how thoroughly.
        tell: is told how far it is.
        stop: set, it ends after the round; finished rounds are kept.
        meter: of the energy that the machine takes.
        keep: is given what is measured whenever a part of the contenders is done.

    Returns:
        What was measured, in the contenders' order.
    """
    timings = [Timing(contender) for contender in contenders]
    waiting = list(timings)
    at_once = plan.at_once or _as_many_as_fit()
    while waiting and not stop.is_set():
        reference = next((timing for timing in timings if timing.rounds), None)
        guest = [reference] if reference else []
        heat = waiting[: at_once - len(guest)]
        waiting = waiting[len(heat) :]
        _run_heat(heat, guest, plan, tell, stop, meter)
        keep(timings)
    for timing in timings:
        if not timing.rounds and timing.problem is None:
            timing.problem = "interrupted"
    return timings


def _run_heat(
    heat: Sequence[Timing],
    guest: Sequence[Timing],
    plan: Plan,
    tell: Tell,
    stop: Event,
    meter: EnergyMeter | None,
) -> None:
    """Measure some, and with them anew the reference, if it was measured before."""
    with ExitStack() as running:
        # The reference's figures are those of its first heat; here it is what others are held to.
        again = [Timing(timing.contender) for timing in guest]
        lanes: list[_Lane] = []
        for timing in (*again, *heat):
            if stop.is_set():
                return
            tell(f"starting {timing.contender.name} ({timing.contender.threads})")
            lane = _start(timing, plan if timing in heat else replace(plan, cold_starts=0), running)
            if lane is not None:
                lanes.append(lane)
        for lane in lanes.copy():
            tell(f"warming up {lane.timing.contender.name}")
            _guarded(lane, lanes, partial(_warm_up, lane))
        reference = again[0] if again else next((lane.timing for lane in lanes), None)
        for number in _rounds(plan, stop):
            if not lanes:
                break
            tell(f"round {number + 1}")
            # In another order each time: who follows whom must not matter.
            order = random.Random(number).sample(lanes, len(lanes))
            for lane in order:
                if lane in lanes:
                    _guarded(lane, lanes, partial(_run_round, lane, plan, meter))
        for timing in heat:
            timing.reference = list(reference.rounds) if reference else []
        for lane in [lane for lane in lanes if lane.timing in heat]:
            _guarded(lane, lanes, partial(_finish, lane, plan, stop))


def _rounds(plan: Plan, stop: Event) -> Iterator[int]:
    """Numbers of rounds until both were enough."""
    start = time.monotonic()
    number = 0
    while not stop.is_set():
        if number >= plan.rounds and time.monotonic() - start >= plan.seconds:
            return
        yield number
        number += 1


def _start(timing: Timing, plan: Plan, running: ExitStack) -> _Lane | None:
    cores = _cores(timing.contender, plan)
    try:
        for _ in range(plan.cold_starts):
            worker = Worker(timing.contender, plan.timeout, cores)
            timing.starts.append(worker.start)
            worker.close()
        worker = Worker(timing.contender, plan.timeout, cores)
    except WorkerError as error:
        timing.problem = str(error)
        return None
    running.callback(worker.close)
    return _Lane(worker, timing)


def _guarded(lane: _Lane, lanes: list[_Lane], work: Callable[[], object]) -> None:
    """Do something with a contender; one that fails leaves, and keeps what it had."""
    try:
        work()
    except WorkerError as error:
        lane.timing.problem = str(error)
        lanes.remove(lane)


def _warm_up(lane: _Lane) -> None:
    start = time.monotonic()
    before, now = 0.0, statistics.median(lane.worker.ask(TimeInference(_WARM_WINDOW)))
    while not before or (
        abs(now / before - 1) >= _WARM_WITHIN and time.monotonic() - start < _WARM_SECONDS
    ):
        before, now = now, statistics.median(lane.worker.ask(TimeInference(_WARM_WINDOW)))
    lane.timing.stable = abs(now / before - 1) < _WARM_WITHIN
    lane.count = max(1, min(_MOST_IN_SLICE, int(_SLICE_SECONDS / now)))


def _run_round(lane: _Lane, plan: Plan, meter: EnergyMeter | None) -> None:
    before = meter.joules() if meter else None
    times: list[float] = lane.worker.ask(TimeInference(lane.count))
    after = meter.joules() if meter else None
    if before is not None and after is not None:
        # One inference more than was timed.
        lane.joules.append((after - before) / (lane.count + 1))
    lane.timing.rounds.append(times)
    if plan.photos and lane.timing.contender.batch == 1:
        photo = plan.photos[len(lane.timing.rounds) % len(plan.photos)]
        lane.timing.end_to_end.append(lane.worker.ask(TimeEndToEnd((photo,))))


def _finish(lane: _Lane, plan: Plan, stop: Event) -> None:
    lane.timing.peak_megabytes = lane.worker.ask(PeakMemory())
    if lane.joules:
        lane.timing.joules = statistics.median(lane.joules)
    if stop.is_set() or not lane.timing.rounds:
        return
    typical = statistics.median(lane.timing.rounds[-1])
    count = max(_ASKED_FEWEST, min(_ASKED_MOST, int(_ASKED_SECONDS / typical)))
    lane.timing.own = [each / 1000 for each in lane.worker.ask(AskEngine(count))]
    contender = lane.timing.contender
    if plan.tools and contender.runner == BIRDEDGE and contender.batch == 1:
        ours = partial(lane.worker.ask, TimeInference(count))
        lane.timing.tool = ask_tool(contender, ours, count, plan.timeout, _cores(contender, plan))


def _as_many_as_fit() -> int:
    """In half of the memory that is free; two at least, or there is nothing to compare."""
    import psutil

    fitting = int(psutil.virtual_memory().available / 2 / _CONTENDER_BYTES)
    return min(max(fitting, 2), _MOST_AT_ONCE)


def _cores(contender: Contender, plan: Plan) -> frozenset[int]:
    """As many cores as there are threads, of those that this process may use; none for any."""
    if not plan.pin:
        return frozenset()
    return frozenset(sorted(os.sched_getaffinity(0))[: contender.threads])
