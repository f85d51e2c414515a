"""Figures as the rest of birdedge reckons them, where torchmetrics' are others."""

from torch import Tensor
from torchmetrics.classification import MulticlassCalibrationError, MulticlassRecall

_BELOW_ONE = 1 - 2**-24
"""The largest float32 below 1."""


class MacroRecall(MulticlassRecall):
    """Mean over the species that there are photos of, of the share that is right.

    That of torchmetrics counts any other species as never right once it was answered; this one is
    scikit-learn's ``balanced_accuracy_score``, and what `birdedge bench` tells.

    Args:
        classes: number of classes.
    """

    # Of all batches together, a count a class.
    tp: Tensor
    fn: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__(classes, average=None)

    def compute(self) -> Tensor:
        """A scalar from 0 to 1; NaN without any photo."""
        recalls: Tensor = super().compute()
        return recalls[self.tp + self.fn > 0].mean()


class CalibrationError(MulticlassCalibrationError):
    """Expected calibration error over 15 equal bins of confidence.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3, whose last bin
    has a confidence of 1 in it; torchmetrics puts that, which float32 has often, into a bin of its
    own, and tells an error that is too large.

    Args:
        classes: number of classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__(classes, n_bins=15)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            preds: probabilities ``[N, classes]``.
            target: class numbers ``[N]``.
        """
        super().update(preds.clamp(max=_BELOW_ONE), target)
