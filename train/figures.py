"""Figures as the rest of birdedge reckons them, where torchmetrics' are others."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class MacroRecall(Metric):
    """Mean over the species that there are photos of, of the share that is right.

    That of torchmetrics counts any other species as never right once it was answered; this one is
    scikit-learn's ``balanced_accuracy_score``, and what `birdedge bench` tells.

    Args:
        classes: number of classes.
        settings: of any torchmetrics ``Metric``.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    right: Tensor
    photos: Tensor

    def __init__(self, classes: int, **settings: Any) -> None:
        super().__init__(**settings)
        for state in ("right", "photos"):
            self.add_state(state, torch.zeros(classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            preds: probabilities or logits ``[N, classes]``.
            target: class numbers ``[N]``.
        """
        classes = len(self.photos)
        right = preds.argmax(dim=1) == target
        self.photos += torch.bincount(target, minlength=classes)
        self.right += torch.bincount(target[right], minlength=classes)

    def compute(self) -> Tensor:
        """A scalar from 0 to 1; NaN without any photo."""
        there = self.photos > 0
        return (self.right[there] / self.photos[there]).mean()
