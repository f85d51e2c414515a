"""One bird's stay before the camera: seen in many frames, named once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from .classifier import Classifier
from .labels import Label
from .predictions import Prediction
from .regions import Region
from .sources import Frame
from .sources.opencv import cv2

_STABLE_VOTES = 3
"""So many votes in a row that change nothing, and a visit is decided."""


@dataclass(frozen=True)
class View:
    """A part of a frame that shows a bird.

    Attributes:
        captured_at: when the frame was taken, in UTC.
        frame_size: width and height of the frame.
        region: the part of it.
        pixels: that part, RGB uint8 ``[h, w, 3]``.
        fitted: the same at the model's input size.
    """

    captured_at: datetime
    frame_size: tuple[int, int]
    region: Region
    pixels: NDArray[np.uint8]
    fitted: NDArray[np.uint8]

    @classmethod
    def of(cls, frame: Frame, region: Region, classifier: Classifier) -> "View":
        """Cut a region out of a frame; the frame itself is not kept."""
        pixels = region.crop(frame.pixels).copy()
        height, width = frame.pixels.shape[:2]
        return cls(frame.captured_at, (width, height), region, pixels, classifier.fit(pixels))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The region in the frame: left, top, width and height, from 0 to 1."""
        width, height = self.frame_size
        return (
            self.region.left / width,
            self.region.top / height,
            (self.region.right - self.region.left) / width,
            (self.region.bottom - self.region.top) / height,
        )

    def quality(self) -> float:
        """How much its vote counts: sharpness times size, times how much of it moves.

        Sharpness is the standard deviation of the Laplacian (J. L. Pech-Pacheco et al., "Diatom
        Autofocusing in Brightfield Microscopy", ICPR 2000). Beyond the model's own input size,
        pixels add nothing.
        """
        gray = cv2.cvtColor(self.fitted, cv2.COLOR_RGB2GRAY)
        sharpness = float(cv2.Laplacian(gray, cv2.CV_32F).std())
        size = min(1.0, min(self.pixels.shape[:2]) / int(self.fitted.shape[0]))
        # Fog, too, must have a weight.
        return float(max(sharpness * size * self.region.filled, 1e-3))


@dataclass(frozen=True)
class Visit:
    """One bird's stay, as far as it is known.

    Attributes:
        id: 32 hexadecimal digits, unique in the world.
        source: the camera's name.
        start: when it came, in UTC.
        since: the same, in seconds since the source began.
        seconds: from then until it was last seen, by a clock that nobody sets.
        prediction: of all votes together.
        unweighted: the same without regard to what occurs here.
        model_id: of the bundle whose model named it.
        votes: views that were classified.
        best: the view that shows it best.
        ended: whether the bird has left.
    """

    id: str
    source: str
    start: datetime
    since: float
    seconds: float
    prediction: Prediction
    unweighted: Prediction
    model_id: str
    votes: int
    best: View
    ended: bool

    @property
    def end(self) -> datetime:
        """When it was last seen, in UTC; never before the start, whatever the clock did."""
        return self.start + timedelta(seconds=self.seconds)


class Ballot:
    """The votes on one bird: the mean of all views' logits, weighed by their quality.

    Unlike a mean of probabilities, that lets one clear view outweigh several undecided ones.

    Attributes:
        classifier: what names all the views.

    Args:
        frame: the first that shows it.
        classifier: what names all the views.
    """

    def __init__(self, frame: Frame, classifier: Classifier) -> None:
        self.votes = 0
        self.decided = False
        self._id = uuid4().hex
        self._source = frame.source
        self._start = frame.captured_at
        self._from = self._until = frame.seconds
        self.classifier = classifier
        self._weights = classifier.weights and classifier.weights(frame.captured_at)
        self._sum: NDArray[np.float64] | None = None
        self._total = 0.0
        self._leader: Label | None = None
        self._unchanged = 0
        self._best: View | None = None
        self._best_quality = 0.0

    @property
    def leader(self) -> Label | None:
        """What it is so far."""
        return self._leader

    def add(self, view: View, logits: NDArray[np.float32], seconds: float) -> bool:
        """Count a view's vote.

        Args:
            view: the view.
            logits: the model's answer to it, ``[classes]``.
            seconds: the frame's time.

        Returns:
            Whether this vote decided it.
        """
        quality = view.quality()
        self._sum = quality * logits.astype(np.float64) + (0 if self._sum is None else self._sum)
        self._total += quality
        self._until = seconds
        self.votes += 1
        before, self._leader = self._leader, _named(self._prediction())
        self._unchanged = self._unchanged + 1 if self._leader == before else 1
        if self._leader != before:
            self._best_quality = 0.0
        self._keep_if_best(view, logits, quality)
        if self.decided or self._leader is None or self._unchanged < _STABLE_VOTES:
            return False
        self.decided = True
        return True

    @property
    def probability(self) -> float:
        """Of what it is so far."""
        return self._prediction().probability

    def shows(self, logits: NDArray[np.float32], sure: float) -> bool:
        """Whether one view shows what this bird was taken for.

        Args:
            logits: the model's answer to it, ``[classes]``.
            sure: how probable it must be, from 0 to 1.
        """
        says = self.classifier.decide(logits, self._weights)
        return self._leader is not None and says.probability_of(self._leader) >= sure

    def names(self, logits: NDArray[np.float32]) -> bool:
        """Whether one view, ``[classes]``, can be named by itself."""
        return self.classifier.decide(logits, self._weights).answer is not None

    def absorb(self, other: "Ballot") -> None:
        """Count the votes on what turned out to be the same bird, seen later by the same model."""
        if other._sum is None or self._sum is None:
            return
        self._sum = self._sum + other._sum
        self._total += other._total
        self.votes += other.votes
        self._until = other._until
        self._leader = _named(self._prediction())
        if other._leader == self._leader and other._best_quality > self._best_quality:
            self._best, self._best_quality = other._best, other._best_quality

    def visit(self, *, ended: bool) -> Visit:
        """What is known now."""
        assert self._best is not None
        return Visit(
            self._id, self._source, self._start, self._from, self._until - self._from,
            self._prediction(), self._prediction(weighted=False),
            self.classifier.bundle.manifest.id, self.votes, self._best, ended,
        )  # fmt: skip

    def _prediction(self, *, weighted: bool = True) -> Prediction:
        assert self._sum is not None
        mean = (self._sum / self._total).astype(np.float32)
        return self.classifier.decide(mean, self._weights if weighted else None)

    def _keep_if_best(self, view: View, logits: NDArray[np.float32], quality: float) -> None:
        """Keep the view for the picture, if it is good and shows what the bird is taken for.

        The surer the model is of it, the better the bird is framed: sharp edges behind a bird that
        is cut in half would be sharp, too.
        """
        says = self.classifier.decide(logits, self._weights).answer
        agrees = says is not None and says.label == self._leader
        quality *= says.probability if says is not None and agrees else 0.05
        if self._best is None or quality > self._best_quality:
            self._best, self._best_quality = view, quality


def _named(prediction: Prediction) -> Label | None:
    answer = prediction.answer
    return answer.label if answer else None
