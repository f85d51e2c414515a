"""Figures that say how far a measurement can be trusted."""

import math

import numpy as np
from numpy.typing import NDArray

_Z_95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


def top1(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Share of pictures whose first answer is right.

    Args:
        logits: ``[N, classes]``.
        labels: class numbers ``[N]``.
    """
    return float((logits.argmax(axis=1) == labels).mean())


def wilson_interval(hits: int, samples: int) -> tuple[float, float]:
    """95 % interval of a share, from 0 to 1, that holds for few samples and shares near 1 too.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal
    of the American Statistical Association 22 (1927).

    Args:
        hits: how often it happened.
        samples: how often it could have.

    Raises:
        ValueError: there are no samples, or more hits than samples.
    """
    if not 0 <= hits <= samples or samples == 0:
        raise ValueError(f"{hits} hits of {samples} samples")
    share = hits / samples
    z2 = _Z_95**2 / samples
    centre = (share + z2 / 2) / (1 + z2)
    half = _Z_95 * math.sqrt(share * (1 - share) / samples + z2 / (4 * samples)) / (1 + z2)
    # At the ends of the scale the formula is exact, its floating-point value is not.
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == samples else min(1.0, centre + half)
    return low, high


def expected_calibration_error(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy, over equal bins of confidence.

    Bins are open below and closed above. Guo et al., "On Calibration of Modern Neural Networks",
    ICML 2017, equation 3.

    Args:
        confidence: probability of the first answer, ``[N]``.
        right: whether that answer was right, ``[N]``.
        bins: how many.
    """
    number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(number, weights=confidence.astype(np.float64) - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def negative_log_likelihood(
    logits: NDArray[np.floating], labels: NDArray[np.int64], temperature: float = 1.0
) -> float:
    """Mean of ``-log softmax(logits / temperature)[label]``, in nats.

    Args:
        logits: ``[N, classes]``.
        labels: class numbers ``[N]``.
        temperature: logits are divided by it.
    """
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(scaled).sum(axis=1))
    return float((log_sum - scaled[np.arange(len(labels)), labels]).mean())
