"""How far a target's answers may be from its network's: what is further off enters no bundle."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .figures import top1
from .targets import TARGETS
from .verify import Logits


@dataclass(frozen=True)
class Tolerance:
    """What may be lost on the way from PyTorch to a target.

    Attributes:
        max_drop: points of top-1 that a target may lose.
        min_agreement: percent of the photos, at least, to which an INT8 target gives the network's
            own first answer. How many a float target owes is known; see `Recipe.agreement`.
    """

    max_drop: float = 0.5
    min_agreement: float = 97.0

    def broken_by(
        self,
        name: str,
        logits: Logits,
        reference: Logits,
        labels: NDArray[np.int64] | None = None,
    ) -> str | None:
        """Why a target is outside, as the rest of a sentence that begins with it, or None.

        Args:
            name: of `TARGETS`.
            logits: the target's, ``[N, classes]``.
            reference: the network's own, likewise.
            labels: class numbers ``[N]``; without them only agreement is asked, as is right where
                the network has learned from these photos.
        """
        if not np.isfinite(logits).all():
            return "gives NaN or infinite logits"
        if labels is not None:
            was, now = top1(reference, labels), top1(logits, labels)
            if (drop := _points(was - now)) > self.max_drop:
                return (
                    f"loses {drop:.1f} points of validation top-1 ({was:.1%} -> {now:.1%}), "
                    f"more than --max-drop {self.max_drop:g}"
                )
        wanted = TARGETS[name].agreement
        if TARGETS[name].quantized:
            wanted = self.min_agreement / 100
        others = int((logits.argmax(axis=1) != reference.argmax(axis=1)).sum())
        # One may be a tie, however few there are.
        if others > max(1, int(_points(1 - wanted) / 100 * len(logits))):
            return (
                f"gives the network's first answer to {1 - others / len(logits):.1%} of "
                f"{len(logits):,} photos, to fewer than {wanted:.1%}"
            )
        return None


def _points(share: float) -> float:
    """In percent, rounded, so that one of 200 photos is 0.5 points and not a hair more."""
    return round(share * 100, 6)
