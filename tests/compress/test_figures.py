import numpy as np
import pytest

from birdedge.compress.figures import (
    expected_calibration_error,
    negative_log_likelihood,
    wilson_interval,
)


def test_wilson_interval_of_81_hits_in_263_is_the_textbook_one() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_interval_of_no_hits_starts_at_zero() -> None:
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_wilson_interval_of_all_hits_ends_at_one() -> None:
    low, high = wilson_interval(20, 20)
    assert high == 1
    assert low == pytest.approx(0.8389, abs=5e-5)


@pytest.mark.parametrize(("hits", "samples"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_interval_of_impossible_counts_is_refused(hits: int, samples: int) -> None:
    with pytest.raises(ValueError, match="samples"):
        wilson_interval(hits, samples)


def test_calibration_error_weighs_each_bins_gap_by_its_photos() -> None:
    # Bin (0.8, 0.867]: three photos at 0.85, two right: gap |0.85 - 2/3| = 0.18333.
    # Bin (0.467, 0.533]: one photo at 0.5, wrong: gap 0.5. Together (3 * 0.18333 + 0.5) / 4.
    confidence = np.array([0.85, 0.85, 0.85, 0.5])
    right = np.array([True, True, False, False])
    assert expected_calibration_error(confidence, right) == pytest.approx(0.2625)


def test_calibration_error_of_certain_and_right_answers_is_zero() -> None:
    assert expected_calibration_error(np.ones(5), np.ones(5, dtype=bool)) == 0


def test_negative_log_likelihood_of_equal_logits_is_the_log_of_the_classes() -> None:
    nll = negative_log_likelihood(np.zeros((2, 4)), np.array([0, 3]))
    assert nll == pytest.approx(np.log(4))


def test_negative_log_likelihood_survives_huge_logits() -> None:
    assert negative_log_likelihood(np.array([[1e4, 0.0]]), np.array([1])) == pytest.approx(1e4)
