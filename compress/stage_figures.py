"""What a network is before and after a stage of its compression."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from .cost import count_macs, count_parameters
from .figures import top1


@dataclass(frozen=True)
class StageFigures:
    """What a network is after a stage.

    Attributes:
        megabytes: size of its weights as float32, or of a target's files, in 10^6 bytes.
        macs: multiply-adds of one picture.
        parameters: weights and biases.
        top1: share of the validation photos that it names right.
        agreement: share of them to which it gives the first answer of the network that came.
    """

    megabytes: float
    macs: int
    parameters: int
    top1: float
    agreement: float


def stage_figures(
    network: nn.Module,
    input_size: tuple[int, int],
    megabytes: float,
    logits: NDArray[np.float32],
    reference: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> StageFigures:
    """Figures of a network, or of a target made of it.

    Args:
        network: images ``[N, 3, H, W]`` to logits.
        input_size: height and width in pixels.
        megabytes: see `StageFigures`.
        logits: what it answers to the validation photos, ``[N, classes]``.
        reference: what the network that came answers, likewise.
        labels: class numbers ``[N]``.
    """
    return StageFigures(
        megabytes,
        count_macs(network, input_size),
        count_parameters(network),
        top1(logits, labels),
        float((logits.argmax(axis=1) == reference.argmax(axis=1)).mean()),
    )
