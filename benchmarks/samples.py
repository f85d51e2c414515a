"""What samples of time say, and how sure that is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

_RESAMPLES = 2000
_TAILS = (2.5, 97.5)


class Interval(BaseModel):
    """A figure with its 95 % interval."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float


def median(rounds: Sequence[Sequence[float]]) -> Interval:
    """The median of all samples.

    Its interval is a bootstrap's that draws whole rounds (a cluster bootstrap: A. Davison and
    D. Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8): what one round's
    samples share, a busy moment say, is not taken for many independent facts.

    Args:
        rounds: samples of each round, as many in one as in the other.
    """
    values = np.asarray(rounds, np.float64)
    return _interval(float(np.median(values)), _resampled(values, _drawn(len(values))))


def ratio(rounds: Sequence[Sequence[float]], to: Sequence[Sequence[float]]) -> Interval:
    """The ratio of two medians of the same rounds; whole rounds are drawn for both at once.

    Args:
        rounds: samples of each round.
        to: those that they are divided by, of the same rounds.
    """
    ours, theirs = np.asarray(rounds, np.float64), np.asarray(to, np.float64)
    count = min(len(ours), len(theirs))
    drawn = _drawn(count)
    ratios = _resampled(ours[:count], drawn) / _resampled(theirs[:count], drawn)
    return _interval(float(np.median(ours[:count]) / np.median(theirs[:count])), ratios)


def ratio_between_runs(new: Sequence[Sequence[float]], old: Sequence[Sequence[float]]) -> Interval:
    """The ratio of two medians of two runs, whose rounds have nothing to do with each other."""
    ours, theirs = np.asarray(new, np.float64), np.asarray(old, np.float64)
    ratios = _resampled(ours, _drawn(len(ours))) / _resampled(theirs, _drawn(len(theirs), seed=1))
    return _interval(float(np.median(ours) / np.median(theirs)), ratios)


def percentile(rounds: Sequence[Sequence[float]], percent: float) -> float:
    """A percentile of all samples."""
    return float(np.percentile(np.asarray(rounds, np.float64), percent))


def _drawn(count: int, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))


def _resampled(values: NDArray[np.float64], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Medians of resampled rounds ``[resamples]``."""
    return np.asarray(np.median(values[drawn].reshape(len(drawn), -1), axis=1))


def _interval(value: float, resampled: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(resampled, _TAILS)
    return Interval(value=value, low=float(low), high=float(high))
