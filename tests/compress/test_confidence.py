import numpy as np
import pytest
from numpy.typing import NDArray

from birdedge.compress.confidence import fit_temperature, unknown_threshold
from birdedge.compress.figures import expected_calibration_error, negative_log_likelihood
from birdedge.runtime.classifier import softmax
from birdedge.runtime.errors import CheckpointError


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


def test_threshold_calls_at_most_half_a_percent_of_right_answers_unknown() -> None:
    chooser = np.random.default_rng(1)
    logits = chooser.normal(0, 3, size=(1000, 4)).astype(np.float32)
    labels = logits.argmax(axis=1)
    labels[:100] = (labels[:100] + 1) % 4
    threshold = unknown_threshold(logits, labels, temperature=1.5)
    confidence = softmax(logits, 1.5).max(axis=1)[100:]
    assert (confidence < threshold).sum() <= 4  # 0.5 % of 900 is 4.5
    assert (confidence < threshold + 0.05).sum() > 4


def test_threshold_of_few_photos_calls_no_right_answer_unknown() -> None:
    logits = np.array([[2, 0], [0, 1], [3, 0]], dtype=np.float32)
    threshold = unknown_threshold(logits, np.array([0, 1, 1]), temperature=1.0)
    assert threshold == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-4)


def test_threshold_is_zero_where_nothing_is_right() -> None:
    assert unknown_threshold(np.eye(2, dtype=np.float32), np.array([1, 0]), 1.0) == 0
