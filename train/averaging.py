"""The moving average of the weights, which is what is validated and kept."""

from collections.abc import Sequence

from lightning.pytorch.callbacks import EMAWeightAveraging, WeightAveraging
from torch import Tensor


def averaging(decay: float, *, warmup: bool) -> WeightAveraging:
    """The average of the weights after each step, in which a step counts less the longer ago it is.

    Args:
        decay: of a step's share, with each step after it: about the last 1 / (1 - decay) count.
        warmup: begin with less. A run that has not many more steps than these would otherwise keep
            mostly the weights that it began with. After ``n`` steps the decay is
            ``min(decay, (1 + n) / (10 + n))``, as in TensorFlow's ``ExponentialMovingAverage`` with
            ``num_updates``.
    """
    if not warmup:
        return EMAWeightAveraging(decay=decay)

    def average(averaged: Sequence[Tensor], current: Sequence[Tensor], steps: Tensor) -> None:
        kept = min(decay, (1 + int(steps)) / (10 + int(steps)))
        for mean, now in zip(averaged, current, strict=True):
            # Not a sum of shares, whose rounding would move weights that are frozen.
            mean.copy_(mean + (1 - kept) * (now - mean))

    return WeightAveraging(multi_avg_fn=average)
