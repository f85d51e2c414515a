"""From logits to an answer: calibrated, ranked, as narrow as is sure, and "unknown" if none is."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .labels import Label
from .manifest import Manifest, OpenSet
from .taxa import Taxa, wider_taxa

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Candidate:
    """A species and how probable it is, from 0 to 1."""

    label: Label
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a model says about one picture, or about one bird in many.

    Attributes:
        ranked: every class, most probable first.
        threshold: an answer less probable than this is not believed.
        familiar: whether it looks like anything that the model has learned; if not, it is none of
            its species, however they compare.
        labels: the model's classes, in its own order; their genera and families may be an answer.
    """

    ranked: tuple[Candidate, ...]
    threshold: float
    familiar: bool = True
    labels: tuple[Label, ...] = field(default=(), repr=False)

    @property
    def species(self) -> Label | None:
        """The species named, or ``None`` for unknown, for background and for a wider taxon."""
        best = self.ranked[0]
        if not self._may_be_named or best.probability < self.threshold:
            return None
        return best.label

    @property
    def answer(self) -> Candidate | None:
        """The narrowest taxon that is sure enough: a species, a genus, a family, or none.

        A genus or family is as probable as all its species together (as in SpeciesNet's roll-up:
        T. Gadot et al., "To crop or not to crop", IET Computer Vision 2024).
        """
        if self.species is not None:
            return self.ranked[0]
        if not self._may_be_named:
            return None
        for taxa in wider_taxa(self.labels):
            sums = self._sums(taxa)
            best = max(sums, key=lambda taxon: sums[taxon], default=None)
            if best is not None and sums[best] >= self.threshold:
                return Candidate(best, sums[best])
        return None

    def probability_of(self, taxon: Label) -> float:
        """How probable a species is, or all of a genus or family together; 0 if none is seen."""
        if not self._may_be_named:
            return 0.0
        for candidate in self.ranked:
            if candidate.label == taxon:
                return candidate.probability
        return sum(self._sums(taxa).get(taxon, 0.0) for taxa in wider_taxa(self.labels))

    def _sums(self, taxa: Taxa) -> dict[Label, float]:
        """How probable genera, or families, are: each as all of its species together."""
        sums: dict[Label, float] = {}
        for candidate in self.ranked:
            taxon = taxa.get(candidate.label.scientific_name)
            if taxon is not None:
                sums[taxon] = sums.get(taxon, 0.0) + candidate.probability
        return sums

    @property
    def name(self) -> str:
        """The answer's name for a birder, or ``unknown``."""
        answer = self.answer
        return answer.label.name if answer else UNKNOWN

    @property
    def probability(self) -> float:
        """How probable the answer is; where there is none, the first guess."""
        answer = self.answer
        return (answer or self.ranked[0]).probability

    @property
    def _may_be_named(self) -> bool:
        return self.familiar and not self.ranked[0].label.is_background


def predict(
    logits: NDArray[np.float32],
    manifest: Manifest,
    threshold: float,
    weights: NDArray[np.float32] | None = None,
) -> Prediction:
    """What logits ``[classes]`` mean.

    Args:
        logits: a picture's, or the mean of many.
        manifest: of the model that gave them.
        threshold: an answer less probable than this is not believed.
        weights: how common each species is here and now, ``[classes]``, from 0 to 1.
    """
    probabilities = softmax(logits, manifest.temperature)
    if weights is not None:
        probabilities = _weighed(probabilities, weights)
    order = np.argsort(-probabilities, kind="stable")
    ranked = tuple(Candidate(manifest.labels[i], float(probabilities[i])) for i in order)
    familiar = manifest.open_set is None or bool(are_familiar(logits, manifest.open_set))
    return Prediction(ranked, threshold, familiar, manifest.labels)


def are_familiar(logits: NDArray[np.float32], open_set: OpenSet) -> NDArray[np.bool_]:
    """Whether logits ``[..., classes]`` are of species that the model has learned, ``[...]``."""
    return np.asarray(SCORES[open_set.score](logits) >= open_set.threshold)


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Probabilities from logits ``[..., classes]``, softened by a temperature.

    Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    scaled = logits.astype(np.float64) / temperature
    exponent = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = exponent / exponent.sum(axis=-1, keepdims=True)
    return probabilities.astype(np.float32)


def energy(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Negative free energy ``[...]`` of logits ``[..., classes]``; high for what was learned.

    W. Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020, at temperature 1.
    """
    values = logits.astype(np.float64)
    highest = values.max(axis=-1, keepdims=True)
    total = np.log(np.exp(values - highest).sum(axis=-1)) + highest[..., 0]
    return np.asarray(total)


def max_logit(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Highest of logits ``[..., classes]``; high for what was learned.

    D. Hendrycks et al., "Scaling Out-of-Distribution Detection for Real-World Settings", ICML 2022.
    """
    return np.asarray(logits.max(axis=-1), np.float64)


SCORES = {"energy": energy, "max_logit": max_logit}


def _weighed(
    probabilities: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Bayes' rule; a species that does not occur makes the bird unknown, not another species."""
    likely = probabilities * weights
    total = likely.sum() + probabilities[weights == 0].sum()
    return np.asarray(likely / total, np.float32)
