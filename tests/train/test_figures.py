"""Figures that can be reckoned by hand."""

import pytest
import torch

from birdedge.compress.figures import expected_calibration_error
from birdedge.train.figures import CalibrationError, MacroRecall


def test_a_species_without_photos_is_no_part_of_the_macro_recall() -> None:
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    answers = torch.tensor([0, 0, 0, 3, 1, 0, 2])  # there is no photo of species 3, nor of 4
    recall = MacroRecall(5)

    for batch in (slice(0, 3), slice(3, 7)):
        recall.update(torch.nn.functional.one_hot(answers[batch], 5).float(), labels[batch])

    assert float(recall.compute()) == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)


def test_a_confidence_of_one_is_in_the_same_bin_as_others_near_it() -> None:
    sure = torch.tensor([[1.0, 0.0], [0.94, 0.06]])
    error = CalibrationError(2)
    error.update(sure, torch.tensor([1, 0]))  # one of the two is right, with 0.97 confidence

    assert float(error.compute()) == pytest.approx(0.47)


def test_the_calibration_error_is_the_one_that_compression_tells() -> None:
    chooser = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (400,), generator=chooser)
    logits = torch.randn(400, 4, generator=chooser)
    logits[torch.arange(400), labels] += 30 * torch.rand(400, generator=chooser) - 3
    error = CalibrationError(4)
    probabilities = logits.softmax(dim=1)
    error.update(probabilities, labels)

    confidence, answers = probabilities.max(dim=1)
    assert (confidence == 1).sum() > 50
    same = expected_calibration_error(confidence.numpy(), (answers == labels).numpy())
    assert float(error.compute()) == pytest.approx(same, abs=1e-6)
