"""How often contenders are right, and how surely one is so oftener than another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ..compress.figures import expected_calibration_error, wilson_interval
from ..runtime.manifest import Manifest
from ..runtime.predictions import SCORES, are_familiar, softmax
from .photos import Photos, counterparts, truth
from .samples import Interval


class Accuracy(BaseModel):
    """How often a target is right.

    Attributes:
        photos: of species that the model knows; others are not counted.
        top1: share of them whose first answer is right, with its Wilson interval.
        top5: share whose first five answers hold the right one, likewise.
        macro_recall: mean over species of the share that is right.
        calibration_error: expected, over 15 equal bins of confidence.
        named: share that is named rather than called unknown.
        right_of_named: share of those whose name is right; none if none is named.
        agreement: share to which it gives the reference's first answer, likewise with an interval.
        gained: photos that it gets right and the reference does not.
        lost: photos that the reference gets right and it does not.
        mcnemar: the probability of so uneven a split by chance, exactly (Q. McNemar, "Note on the
            sampling error of the difference between correlated proportions", 1947).
        auroc: how well photos without birds are told from these, 0.5 is by chance.
        right: of each photo, ``1`` or ``0``, or ``-`` for one of a species that it does not know.
    """

    model_config = ConfigDict(frozen=True)

    photos: int
    top1: Interval
    top5: Interval
    macro_recall: float
    calibration_error: float
    named: float
    right_of_named: float | None
    agreement: Interval | None = None
    gained: int | None = None
    lost: int | None = None
    mcnemar: float | None = None
    auroc: float | None = None
    right: str


@dataclass(frozen=True)
class Answers:
    """What a target answered.

    Attributes:
        manifest: of its bundle.
        logits: ``[photos, classes]``.
        truth: class numbers ``[photos]``, -1 for species that it does not know.
    """

    manifest: Manifest
    logits: NDArray[np.float32]
    truth: NDArray[np.int64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the first answer is the right one, ``[photos]``."""
        return np.asarray(self.logits.argmax(axis=1) == self.truth)


def score(
    answers: Answers, reference: Answers | None, strangers: NDArray[np.float32] | None = None
) -> Accuracy | None:
    """What answers are worth; none if the model knows none of the species.

    Args:
        answers: a target's.
        reference: of what it is compared with, to the same photos; none for the reference itself.
        strangers: its logits of photos without birds, ``[N, classes]``.
    """
    known = answers.truth >= 0
    if not known.any():
        return None
    logits, labels, right = answers.logits[known], answers.truth[known], answers.right[known]
    manifest = answers.manifest
    best_five = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    confidence = softmax(logits, manifest.temperature).max(axis=1)
    named = confidence >= manifest.unknown_threshold
    if manifest.open_set is not None:
        named &= are_familiar(logits, manifest.open_set)
    is_bird = np.array([not label.is_background for label in manifest.labels])
    named &= is_bird[logits.argmax(axis=1)]
    rate = SCORES[manifest.open_set.score if manifest.open_set else "max_logit"]
    species = np.unique(labels)
    return Accuracy(
        photos=int(known.sum()),
        top1=_share(right),
        top5=_share((best_five == labels[:, None]).any(axis=1)),
        macro_recall=float(np.mean([right[labels == one].mean() for one in species])),
        calibration_error=expected_calibration_error(confidence, right),
        named=float(named.mean()),
        right_of_named=float(right[named].mean()) if named.any() else None,
        auroc=None if strangers is None else auroc(rate(logits), rate(strangers)),
        right="".join(
            "-" if not k else str(int(r)) for k, r in zip(known, answers.right, strict=True)
        ),
        **({} if reference is None else _compared(answers, reference)),
    )


def answers_of(
    manifest: Manifest, logits: NDArray[np.float32], photos: Photos, first: Manifest
) -> Answers:
    """Logits with what would have been right.

    Args:
        manifest: of the model that gave them.
        logits: ``[photos, classes]``.
        photos: sorted by species.
        first: of a model whose names folders may be translated by.
    """
    numbers = truth(photos.species, manifest.labels, first.labels)
    return Answers(manifest, logits, np.asarray(numbers, np.int64))


def mcnemar(gained: int, lost: int) -> float:
    """The probability by chance of a split at least as uneven of ``gained + lost``."""
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0


def auroc(known: NDArray[np.floating], strange: NDArray[np.floating]) -> float:
    """How well a score tells two sets apart: the probability that a known one's is the higher.

    By ranks: the statistic of Mann and Whitney over the number of pairs.

    Args:
        known: scores ``[N]`` that should be high.
        strange: scores ``[M]`` that should be low.
    """
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(known, strange).statistic / (len(known) * len(strange)))


def _compared(answers: Answers, reference: Answers) -> dict[str, object]:
    both = (answers.truth >= 0) & (reference.truth >= 0)
    if not both.any():
        return {}
    same = np.asarray(counterparts(answers.manifest.labels, reference.manifest.labels))
    alike = same[answers.logits[both].argmax(axis=1)] == reference.logits[both].argmax(axis=1)
    ours, theirs = answers.right[both], reference.right[both]
    gained, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return {
        "agreement": _share(alike), "gained": gained, "lost": lost,
        "mcnemar": mcnemar(gained, lost),
    }  # fmt: skip


def _share(hits: NDArray[np.bool_]) -> Interval:
    low, high = wilson_interval(int(hits.sum()), len(hits))
    return Interval(value=float(hits.mean()), low=low, high=high)
