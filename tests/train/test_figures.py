"""Figures that can be reckoned by hand."""

import pytest
import torch

from birdedge.train.figures import MacroRecall


def test_a_species_without_photos_is_no_part_of_the_macro_recall() -> None:
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    answers = torch.tensor([0, 0, 0, 3, 1, 0, 2])  # there is no photo of species 3, nor of 4
    recall = MacroRecall(5)

    for batch in (slice(0, 3), slice(3, 7)):
        recall.update(torch.nn.functional.one_hot(answers[batch], 5).float(), labels[batch])

    assert float(recall.compute()) == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
