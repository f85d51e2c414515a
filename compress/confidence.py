"""How sure the model may say it is: the temperature, and below what it says "unknown"."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import CheckpointError
from ..runtime.manifest import OpenSet
from ..runtime.predictions import SCORES
from .figures import negative_log_likelihood

UNKNOWN_THRESHOLD = 0.5
"""A first answer less probable than this is more likely wrong than right, once the temperature has
made probabilities mean what they say.

It is the best threshold where a wrong name does twice the harm of no name: C. K. Chow, "On Optimum
Recognition Error and Reject Tradeoff", IEEE Transactions on Information Theory 16 (1970). One that
is read off the least sure of a few hundred validation photos hangs on one or two of them.
"""

OPEN_SET_SCORE: Literal["max_logit"] = "max_logit"
"""Of the scores in `benchmarks.open_set` the one that tells strangers best, by a hair."""

REJECTED = 0.02
"""Share of photos of known species that the open-set score may reject.

Of photos of species that a model did not learn, 45 % pass the unknown threshold alone, 31 % this as
well, and 12 % if it were 5 % (docs/results/open_set.md). But the views of a camera are less clear
than photos, so that more of the known would be lost there (docs/results/field.md).
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


def fit_open_set(logits: NDArray[np.float32], data: str) -> OpenSet | None:
    """The threshold of the open-set score that rejects few photos of known species.

    Of other photos like these it rejects no more than `REJECTED` on average: the k-th lowest of n
    scores is above k in n + 1 new ones (split conformal prediction; H. Papadopoulos et al.,
    "Inductive Confidence Machines for Regression", ECML 2002).

    Args:
        logits: of photos that were not trained on, ``[N, classes]``.
        data: which photos these were.

    Returns:
        None where there are too few photos to promise that; 49 are enough.
    """
    scores = np.sort(SCORES[OPEN_SET_SCORE](logits))
    rank = math.floor(REJECTED * (len(scores) + 1) + 1e-9)
    if rank == 0:
        return None
    # Rounded down: the photo whose score it is stays named.
    threshold = math.floor(float(scores[rank - 1]) * 1e4) / 1e4
    rejected = float((scores < threshold).mean())
    return OpenSet(
        score=OPEN_SET_SCORE, threshold=threshold, rejected=round(rejected, 5), data=data
    )


def _loss(logits: NDArray[np.float32], labels: NDArray[np.int64], log_temperature: float) -> float:
    return negative_log_likelihood(logits, labels, math.exp(log_temperature))
