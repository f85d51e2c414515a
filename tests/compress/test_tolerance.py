"""What strays too far from the network is found, what does not is left alone."""

import numpy as np
import pytest
from numpy.typing import NDArray

from birdedge.compress.tolerance import Tolerance

LABELS = np.arange(200) % 4


def logits_for(answers: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.eye(4, dtype=np.float32)[answers]


RIGHT = logits_for(LABELS)


def with_others(count: int) -> NDArray[np.float32]:
    """The right answers, but for so many."""
    answers = LABELS.copy()
    answers[:count] += 1
    return logits_for(answers % 4)


@pytest.mark.parametrize(("lost", "inside"), [(0, True), (1, True), (2, False)])
def test_a_photo_of_two_hundred_is_half_a_point(lost: int, inside: bool) -> None:
    why = Tolerance(max_drop=0.5).broken_by("onnx-int8", with_others(lost), RIGHT, LABELS)
    assert (why is None) is inside


def test_a_drop_is_told_with_both_figures() -> None:
    why = Tolerance().broken_by("onnx-int8", with_others(20), RIGHT, LABELS)
    assert why == (
        "loses 10.0 points of validation top-1 (100.0% -> 90.0%), more than --max-drop 0.5"
    )


@pytest.mark.parametrize(
    ("target", "others", "inside"),
    [
        ("onnx-int8", 6, True),
        ("onnx-int8", 7, False),
        ("tflite-fp32", 1, True),
        ("openvino-fp16", 2, False),
    ],
)
def test_int8_may_answer_otherwise_more_often_than_float(
    target: str, others: int, inside: bool
) -> None:
    """Only the drop hangs on what the photos show: these answers are wrong, and agree no less."""
    network = with_others(200)
    target_says = network.copy()
    target_says[:others] = RIGHT[:others]
    why = Tolerance(max_drop=0.5).broken_by(target, target_says, network, LABELS)

    assert (why is None) is inside
    if why is not None:
        assert "of 200 photos, to fewer than " in why


def test_photos_without_names_are_asked_for_agreement_alone() -> None:
    why = Tolerance().broken_by("onnx-int8", with_others(10), RIGHT)
    assert why == "gives the network's first answer to 95.0% of 200 photos, to fewer than 97.0%"
    assert Tolerance(min_agreement=95).broken_by("onnx-int8", with_others(10), RIGHT) is None


def test_of_a_few_photos_one_may_be_a_tie() -> None:
    one = with_others(1)[:12]
    assert Tolerance(max_drop=10).broken_by("onnx-fp32", one, RIGHT[:12], LABELS[:12]) is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    broken = RIGHT.copy()
    broken[150, 2] = value
    why = Tolerance(100, 0).broken_by("onnx-fp32", broken, RIGHT)
    assert why == "gives NaN or infinite logits"
