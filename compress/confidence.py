"""How sure the model may say it is: the temperature, and below what it says "unknown"."""

import math

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import CheckpointError
from .figures import negative_log_likelihood

UNKNOWN_THRESHOLD = 0.5
"""A first answer less probable than this is more likely wrong than right, once the temperature has
made probabilities mean what they say.

It is the best threshold where a wrong name does twice the harm of no name: C. K. Chow, "On Optimum
Recognition Error and Reject Tradeoff", IEEE Transactions on Information Theory 16 (1970). One that
is read off the least sure of a few hundred validation photos hangs on one or two of them.
"""

# Beyond these a fit says more about a tiny validation part than about the network: with no mistake
# in it the likelihood only grows as the temperature falls.
_COLDEST, _HOTTEST = 0.25, 10.0

_GOLDEN = (math.sqrt(5) - 1) / 2


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood, found by golden-section search.

    The likelihood is convex in the inverse temperature, so it has one minimum. Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017, section 4.2.

    Args:
        logits: of photos that were not trained on, ``[N, classes]``.
        labels: their class numbers ``[N]``.

    Raises:
        CheckpointError: there are no logits, or some are not finite.
    """
    if len(logits) == 0 or not np.isfinite(logits).all():
        raise CheckpointError("a temperature needs finite logits of at least one photo")
    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    while high - low > 1e-4:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if _loss(logits, labels, left) <= _loss(logits, labels, right):
            high = right
        else:
            low = left
    return round(math.exp((low + high) / 2), 4)


def _loss(logits: NDArray[np.float32], labels: NDArray[np.int64], log_temperature: float) -> float:
    return negative_log_likelihood(logits, labels, math.exp(log_temperature))
