import numpy as np
import pytest
from numpy.typing import NDArray

from birdedge.compress.confidence import (
    REJECTED,
    UNKNOWN_THRESHOLD,
    fit_open_set,
    fit_temperature,
)
from birdedge.compress.figures import expected_calibration_error, negative_log_likelihood
from birdedge.compress.verify import verify
from birdedge.runtime.errors import CheckpointError
from birdedge.runtime.predictions import are_familiar, softmax


@pytest.fixture
def overconfident() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits three times as large as those that the labels were drawn from."""
    chooser = np.random.default_rng(0)
    honest = chooser.normal(0, 2, size=(4000, 5)).astype(np.float32)
    labels = np.array([chooser.choice(5, p=row / row.sum()) for row in softmax(honest)])
    return honest * 3, labels


def test_fitted_temperature_undoes_the_overconfidence(
    overconfident: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> None:
    logits, labels = overconfident
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(3, rel=0.06)
    before = negative_log_likelihood(logits, labels)
    assert negative_log_likelihood(logits, labels, temperature) < before - 0.5

    def error(temperature: float) -> float:
        probabilities = softmax(logits, temperature)
        right = probabilities.argmax(axis=1) == labels
        return expected_calibration_error(probabilities.max(axis=1), right)

    assert error(temperature) < 0.03 < error(1.0)


def test_temperature_of_faultless_logits_stays_within_reason() -> None:
    assert 0.2 < fit_temperature(np.eye(3, dtype=np.float32) * 5, np.arange(3)) < 0.3


def test_temperature_of_logits_with_nan_is_refused() -> None:
    with pytest.raises(CheckpointError, match="finite"):
        fit_temperature(np.array([[np.nan, 1.0]], dtype=np.float32), np.array([0]))


def test_an_answer_below_the_threshold_is_more_likely_wrong_than_right() -> None:
    chooser = np.random.default_rng(1)
    logits = chooser.normal(0, 2, size=(4000, 5)).astype(np.float32)
    truth = softmax(logits, 2.0)  # the network is surer of itself than it should be
    labels = np.array([chooser.choice(5, p=row / row.sum()) for row in truth.astype(np.float64)])
    probabilities = softmax(logits, fit_temperature(logits, labels))
    right = probabilities.argmax(axis=1) == labels
    below = probabilities.max(axis=1) < UNKNOWN_THRESHOLD
    assert right[below].mean() < 0.5 < right[~below].mean()
    verdict = verify(logits, logits, labels, fit_temperature(logits, labels), UNKNOWN_THRESHOLD)
    assert verdict.coverage == pytest.approx(1 - below.mean())
    assert verdict.selective_accuracy == pytest.approx(right[~below].mean())


def test_where_nothing_is_named_no_share_of_it_is_right() -> None:
    unsure = np.zeros((3, 4), dtype=np.float32)
    verdict = verify(unsure, unsure, np.zeros(3, dtype=np.int64), threshold=UNKNOWN_THRESHOLD)
    assert (verdict.coverage, verdict.selective_accuracy) == (0.0, None)


def test_the_open_set_threshold_rejects_so_many_of_the_known_and_more_strangers() -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(0, 1, (500, 10)).astype(np.float32)
    known[np.arange(500), rng.integers(0, 10, 500)] += 6
    strangers = rng.normal(0, 1, (500, 10)).astype(np.float32)
    open_set = fit_open_set(known, "500 photos")

    assert open_set is not None
    assert 0.75 * REJECTED < open_set.rejected <= REJECTED
    assert float(are_familiar(known, open_set).mean()) == pytest.approx(1 - open_set.rejected)
    assert are_familiar(strangers, open_set).mean() < 0.1
    assert open_set.data == "500 photos"
    # What is rejected is not named, however probable.
    labels = known.argmax(axis=1).astype(np.int64)
    verdict = verify(known, known, labels, threshold=0.0, open_set=open_set)
    assert verdict.coverage == pytest.approx(1 - open_set.rejected)


def test_of_few_photos_no_threshold_is_read() -> None:
    logits = np.eye(10, dtype=np.float32).repeat(5, axis=0)

    assert fit_open_set(logits[:48], "too few") is None
    assert fit_open_set(logits[:49], "enough") is not None
