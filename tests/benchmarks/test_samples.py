"""Medians and ratios with intervals that hold what they promise."""

import numpy as np
import pytest

from birdedge.benchmarks.samples import median, percentile, ratio, ratio_between_runs


def test_the_median_is_of_all_samples_and_lies_in_its_interval() -> None:
    found = median([[1.0, 2.0], [3.0, 4.0], [5.0, 60.0]])

    assert found.value == 3.5
    assert 1.0 <= found.low <= 3.5 <= found.high <= 60.0
    assert percentile([[1.0, 2.0], [3.0, 4.0]], 100) == 4.0


def test_what_a_round_shares_does_not_make_the_interval_narrow() -> None:
    """A hundred samples in each of ten rounds are ten facts, not a thousand."""
    rng = np.random.default_rng(0)
    offsets = rng.normal(10, 1, (10, 1))
    rounds = offsets + rng.normal(0, 0.01, (10, 100))
    found = median(rounds.tolist())

    assert found.high - found.low > 0.5


def test_in_nineteen_of_twenty_runs_the_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        rounds = 10 + rng.normal(0, 1, (30, 1)) + rng.normal(0, 0.2, (30, 8))
        found = median(rounds.tolist())
        held += found.low <= 10 <= found.high

    assert 0.88 <= held / 200 <= 0.99


def test_noise_that_falls_on_both_leaves_the_ratio_alone() -> None:
    rng = np.random.default_rng(2)
    busy = np.exp(rng.normal(0, 0.5, (40, 1)))
    ours = 20 * busy * (1 + rng.normal(0, 0.01, (40, 5)))
    theirs = 10 * busy * (1 + rng.normal(0, 0.01, (40, 5)))
    paired = ratio(ours.tolist(), theirs.tolist())
    apart = ratio_between_runs(ours.tolist(), theirs.tolist())

    assert paired.value == pytest.approx(2, abs=0.15)
    assert paired.low <= 2.02 and paired.high >= 1.98
    assert apart.high - apart.low > 2 * (paired.high - paired.low)


def test_a_ratio_takes_the_rounds_that_both_have() -> None:
    found = ratio([[2.0], [2.0]], [[1.0], [1.0], [7.0]])

    assert (found.low, found.value, found.high) == (2.0, 2.0, 2.0)
