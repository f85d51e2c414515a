"""Frames to visits: what moves is followed, named while it stays, and told of when it has left."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .classifier import Classifier
from .regions import FindRegions, Region
from .sources import Frame
from .tracks import Tracker
from .visits import Ballot, View, Visit, Weights

_FEWEST_VOTES = 3
"""What shows in fewer frames is a gust or a leaf more often than a bird."""

_MOST_REGIONS = 4
"""Of one frame; in a storm there may be dozens, and none of them is a bird."""

_STILL_AFTER_SECONDS = 1.5
_STILL_SURE = 0.8
_STILL_LONGEST_SECONDS = 600.0
"""A bird that sits becomes background. Where it was seen last is looked at every so often, and as
long as the model is as sure as this of its species it is there, for ten minutes at most."""


@dataclass
class _Bird:
    """One before the camera: its votes, when it last moved, and when it was last looked for."""

    ballot: Ballot
    moved: float = 0.0
    looked: float = 0.0


class Watcher:
    """Follows birds through a camera's frames and names each of them once.

    Args:
        classifier: what names them.
        find: where in a frame to look.
        weights: how common species are; all alike if not given.
        patience: seconds after which a bird that is not seen has left.
    """

    def __init__(
        self,
        classifier: Classifier,
        find: FindRegions,
        weights: Weights | None = None,
        patience: float = 3.0,
    ) -> None:
        self._classifier = classifier
        self._find = find
        self._weights = weights
        self._tracker = Tracker(patience)
        self._birds: dict[int, _Bird] = {}

    def visits(self, frames: Iterable[Frame]) -> Generator[Visit, None, None]:
        """Each visit twice: as soon as it is decided, and when the bird has left.

        One that is never decided comes at its end alone. When the frames end, all birds have left.
        """
        for frame in frames:
            yield from self._watch(frame)
        for number in list(self._birds):
            yield from self._ended(number)

    def _watch(self, frame: Frame) -> Generator[Visit, None, None]:
        moving = self._tracker.update(frame.seconds, list(islice(self._find(frame), _MOST_REGIONS)))
        for number, _ in moving:
            if number not in self._birds:
                ballot = Ballot(frame, self._classifier, self._weights)
                self._birds[number] = _Bird(ballot)
            self._birds[number].moved = frame.seconds
        looks = moving + self._may_sit(frame.seconds)
        if looks:
            views = [View.of(frame, region, self._classifier) for _, region in looks]
            answers = self._classifier.logits(np.stack([view.fitted for view in views]))
            for (number, _), view, logits in zip(looks, views, answers, strict=True):
                bird = self._birds[number]
                if bird.moved < frame.seconds and not self._sits(number, logits, frame.seconds):
                    continue
                if bird.ballot.add(view, logits, frame.seconds):
                    yield bird.ballot.visit(ended=False)
        for number in self._tracker.gone(frame.seconds):
            yield from self._ended(number)

    def _may_sit(self, seconds: float) -> list[tuple[int, Region]]:
        """Where birds that do not move just now were seen last, if it is time to look there."""
        looks = []
        for number, region in self._tracker.unseen(seconds):
            bird = self._birds[number]
            since = seconds - max(bird.moved, bird.looked)
            recent = seconds - bird.moved < _STILL_LONGEST_SECONDS
            if bird.ballot.decided and recent and since >= _STILL_AFTER_SECONDS:
                bird.looked = seconds
                looks.append((number, region))
        return looks

    def _sits(self, number: int, logits: NDArray[np.float32], seconds: float) -> bool:
        """Whether what the model sees there is the bird that was."""
        seen = self._classifier.decide(logits)
        if seen.species != self._birds[number].ballot.leader or seen.probability < _STILL_SURE:
            return False
        self._tracker.still(number, seconds)
        return True

    def _ended(self, number: int) -> Generator[Visit, None, None]:
        ballot = self._birds.pop(number).ballot
        if ballot.votes >= _FEWEST_VOTES:
            yield ballot.visit(ended=True)
