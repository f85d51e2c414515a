"""The watch over a new model: for some hours it is on probation, and is put back if it is bad.

It is bad if the service fails with it again and again, if it is much slower than when it was tried,
or if how sure it is departs from how sure the model before it was, on the same camera.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from .errors import BackendError, BirdedgeError, BundleError, SyncError
from .health import BINS, Health, median_latency, read_health, write_health
from .installed import Installed, InstalledModel
from .model_state import Trial
from .telling import say

_WRITE_SECONDS = 600.0
"""A card wears with each write; what is lost with the power is ten minutes of statistics."""

_LONGEST_STEP_SECONDS = 10.0
"""Of the time between two frames, so much at most was work: a camera may be away for a night."""

_JUDGE_SECONDS = 10.0

_SLOW_FACTOR = 2.5
_FEWEST_INFERENCES = 200
"""Without so many, nobody knows how fast it is, and no trial is over: there were no birds."""

_FEWEST_VISITS = 30
_DEPARTED = 0.25
_CHI_SQUARED_999 = 18.47
"""The 99.9 % quantile of the chi-squared distribution with four degrees of freedom."""

_FAILED_STARTS = 3
_HEALTHY_SECONDS = 600.0

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Probation:
    """Keeps a model's health while the service runs, and puts the model back if it is bad.

    Args:
        installed: the device's models.
        model: the one that the service runs.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        installed: Installed,
        model: InstalledModel,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self._installed = installed
        self._clock = clock
        self._began = self._counted = self._written = self._judged = clock()
        self._healthy = False
        self._health = read_health(installed.folder, model.digest) or Health(digest=model.digest)
        # How fast it was before today says nothing of how fast it is.
        self._latencies_before = self._health.latencies.copy()

    def inferred(self, seconds: float) -> None:
        """One inference took so long."""
        self._health.inferred(seconds)

    def saw(self, probability: float) -> None:
        """A visit ended, whose first answer has this probability."""
        self._health.saw(probability)

    def frame(self) -> None:
        """A frame was looked at; now and then, what was seen is kept and the model judged."""
        now = self._clock()
        self._health.frames += 1
        self._health.seconds += min(now - self._counted, _LONGEST_STEP_SECONDS)
        self._counted = now
        if not self._healthy and now - self._began >= _HEALTHY_SECONDS:
            self._healthy = True
            _forget_starts(self._installed)
        if now - self._written >= _WRITE_SECONDS:
            self._written = now
            self.keep()
        if now - self._judged >= _JUDGE_SECONDS:
            self._judged = now
            self.judge()

    def judge(self) -> None:
        """Put the model back if it is bad; end its trial when that is over.

        A model that somebody pinned stays in any case.
        """
        with suppress(SyncError):
            state = self._installed.state()
            trial = state.trial
            if trial is None or trial.digest != self.model.digest or state.pinned:
                return
            reason = self._slow(trial) or (self._departed() if trial.confidence else "")
            if reason:
                put_back(self._installed, self.model, reason)
            elif self._is_over(trial):
                with self._installed.changing() as state:
                    # Unless sync brought another one this very moment.
                    if state.trial is not None and state.trial.digest == trial.digest:
                        state.trial = None

    def keep(self) -> None:
        """Write down what was seen."""
        write_health(self._installed.folder, self._health)

    def _is_over(self, trial: Trial) -> bool:
        """By the time that it was at work: clocks are set, and a feeder may be empty for days."""
        enough = sum(self._health.latencies) >= _FEWEST_INFERENCES
        return enough and self._health.seconds >= trial.hours * 3600

    def _slow(self, trial: Trial) -> str:
        pairs = zip(self._health.latencies, self._latencies_before, strict=True)
        recent = [now - before for now, before in pairs]
        latency = median_latency(recent)
        if latency is None or trial.latency is None or sum(recent) < _FEWEST_INFERENCES:
            return ""
        # The model before it ran on the same busy machine; the trial may have had it for itself.
        before = self._reference
        usual = max(trial.latency, (before and before.latency()) or 0.0)
        if latency <= _SLOW_FACTOR * usual:
            return ""
        return f"too slow: {latency * 1000:.0f} ms instead of {usual * 1000:.0f}"

    def _departed(self) -> str:
        before = self._reference
        if before is None:
            return ""
        index, bound = stability_index(before.confidence, self._health.confidence)
        if index <= max(bound, _DEPARTED):
            return ""
        return (
            "how sure it is departs from how sure the model before was (population stability "
            f"index {index:.2f})"
        )

    @cached_property
    def _reference(self) -> Health | None:
        """What was seen with the model before, which sees nothing more."""
        name = self._installed.state().previous
        with suppress(SyncError):
            if name is not None:
                return read_health(self._installed.folder, self._installed.find(name).digest)
        return None


@contextmanager
def counted_start(installed: Installed) -> Iterator[None]:
    """Count a start of the service with a model on trial, unless it comes to a good end.

    A process that is killed says nothing of why; that it is killed again and again does. An error
    that is not the model's, such as a camera that is away or a pipe that nobody reads any more, is
    a good end; and so is one of a machine that was switched off. Too many in vain, and the model is
    put back before it is loaded.
    """
    _count(installed)
    try:
        yield
    except (BackendError, BundleError):
        raise
    except (BirdedgeError, OSError, KeyboardInterrupt):
        _forget_starts(installed)
        raise
    _forget_starts(installed)


def _count(installed: Installed) -> None:
    with suppress(SyncError):
        state, current = installed.state(), installed.current()
        trial = state.trial
        if trial is None or trial.digest != current.digest or state.pinned:
            return
        boot = _boot()
        starts = trial.starts if trial.boot == boot else 0
        if starts >= _FAILED_STARTS:
            put_back(installed, current, f"the service failed {starts} times with it")
            return
        with installed.changing() as state:
            if state.trial is not None and state.trial.digest == trial.digest:
                state.trial.starts, state.trial.boot = starts + 1, boot


def _forget_starts(installed: Installed) -> None:
    with suppress(SyncError):
        trial = installed.state().trial
        if trial is not None and trial.starts:
            with installed.changing() as state:
                if state.trial is not None:
                    state.trial.starts = 0


def _boot() -> str:
    with suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return ""


def put_back(installed: Installed, model: InstalledModel, reason: str) -> None:
    """Go back to the model before one that is bad, and never take that again."""
    try:
        now = installed.roll_back(model.digest, reason)
    except SyncError as error:
        say(f"{model.model} is bad ({reason}), but stays: {error}")
    else:
        say(f"{model.model} is put back ({reason}); {now.model} is in use")


def stability_index(expected: list[int], seen: list[int]) -> tuple[float, float]:
    """The population stability index of two histograms, and what chance alone makes of it.

    The index is the symmetrised Kullback-Leibler divergence of the two; times the harmonic size
    ``nm / (n + m)`` of the samples it follows, where nothing changed, a chi-squared distribution
    with one degree of freedom less than there are bins (B. Yurdakul and J. Naranjo, "Statistical
    properties of the population stability index", Journal of Risk Model Validation, 2020). More
    than 0.25 is taken for a change in any case (E. M. Lewis, "An Introduction to Credit Scoring",
    1992).

    Args:
        expected: counts of the reference, in ten bins.
        seen: counts to compare, in the same.

    Returns:
        The index, and its 99.9 % bound; 0 and infinity where there are too few visits.
    """
    if min(sum(expected), sum(seen)) < _FEWEST_VISITS:
        return 0.0, math.inf
    # Two bins make one: with few visits, empty ones say nothing.
    a = [sum(expected[i : i + 2]) for i in range(0, BINS, 2)]
    b = [sum(seen[i : i + 2]) for i in range(0, BINS, 2)]
    n, m = sum(a), sum(b)
    # Half a visit each, as of a Jeffreys prior, so that no bin divides by nothing.
    p = [(count + 0.5) / (n + 0.5 * len(a)) for count in a]
    q = [(count + 0.5) / (m + 0.5 * len(b)) for count in b]
    index = sum((y - x) * math.log(y / x) for x, y in zip(p, q, strict=True))
    return index, _CHI_SQUARED_999 * (1 / n + 1 / m)
