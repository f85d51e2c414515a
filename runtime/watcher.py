"""Frames to visits: what moves is followed, named while it stays, and told of when it has left."""

import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from .classifier import Classifier
from .regions import FindRegions
from .sources import Frame, Lost
from .tracks import SURE_SECONDS, Seen, Tracker
from .visits import Ballot, View, Visit

_FEWEST_VOTES = 3
"""What shows in fewer frames is a gust or a leaf more often than a bird."""

_MOST_REGIONS = 4
"""Of one frame; in a storm there may be dozens, and none of them is a bird."""

_STILL_AFTER_SECONDS = 1.5
_STILL_SURE = 0.8
_STILL_LONGEST_SECONDS = 600.0
"""A bird that sits becomes background. Where it was seen last is looked at every so often, and as
long as the model is as sure as this of what it was taken for it is there, for ten minutes at most.
Where a bird was that nobody could name, nothing tells it from what is behind it."""

_ANOTHER_VOTES = 5
_ANOTHER_SURE = 0.8
_SAME_VOTES = 15
"""Who comes when another one leaves is told by its species: by so many votes and so surely. If it
is not by the last of these, it is the same bird."""

_NOBODY_SECONDS = 10.0
"""What moves in one place may be a twig as well. When for so long nobody can be named there, the
bird that was has left."""


@dataclass
class _Bird:
    """One before the camera.

    Attributes:
        ballot: the votes on it.
        newer: those since it may have been another one; none while it is surely the same.
        moved: when it was last seen to move.
        looked: when it was last looked for where it had been.
        named: when a view of it could last be named.
    """

    ballot: Ballot
    newer: Ballot | None = None
    moved: float = 0.0
    looked: float = 0.0
    named: float = 0.0


class Watcher:
    """Follows birds through a camera's frames and names each of them once.

    Args:
        now: told whether nothing moves, gives what names the birds that come next; asked when a
            frame is done with. Each bird is named to its end by what it began with, for the answers
            of two models cannot be added up.
        find: where in a frame to look.
        patience: seconds after which a bird that is not seen has left.
        inferred: told who named a view, and how many seconds that took.
        one_place: whether `find` gives the same region for every bird, so that only its species
            tells who comes when another one leaves.
    """

    def __init__(
        self,
        now: Callable[[bool], Classifier],
        find: FindRegions,
        patience: float = 3.0,
        inferred: Callable[[Classifier, float], None] | None = None,
        *,
        one_place: bool = False,
    ) -> None:
        self._now = now
        self._classifier = now(True)
        self._inferred = inferred or (lambda *_: None)
        self._find = find
        self._one_place = one_place
        self._tracker = Tracker(patience)
        self._birds: dict[int, _Bird] = {}

    def visits(self, moments: Iterable[Frame | Lost]) -> Generator[Visit, None, None]:
        """Each visit twice: as soon as it is decided, and when the bird has left.

        One that is never decided comes at its end alone. When the frames end, all birds have left;
        while the camera is lost, those that nobody has seen for too long.
        """
        for moment in moments:
            if isinstance(moment, Frame):
                yield from self._watch(moment)
            yield from self._left(moment.seconds)
        for number in list(self._birds):
            yield from self._ended(number)

    def _watch(self, frame: Frame) -> Generator[Visit, None, None]:
        regions = list(islice(self._find(frame), _MOST_REGIONS))
        if self._tracker.any_stranger(regions):
            # Is it a bird that sat, elsewhere by now, or another one? Its place tells.
            yield from self._look(self._may_sit(frame, SURE_SECONDS), frame)
        moving = self._tracker.update(frame.seconds, regions)
        for seen in moving:
            self._meet(seen, frame)
        yield from self._look(moving + self._may_sit(frame, _STILL_AFTER_SECONDS), frame)
        # Asked last: what is loaded now has the processor to itself until the next frame comes.
        self._classifier = self._now(not moving)

    def _look(self, places: list[Seen], frame: Frame) -> Generator[Visit, None, None]:
        """Name what is seen where birds move, and where they may sit."""
        for asked, looks in self._by_classifier(places).items():
            views = [View.of(frame, seen.region, asked) for seen in looks]
            began = time.perf_counter()
            answers = asked.logits(np.stack([view.fitted for view in views]))
            self._inferred(asked, (time.perf_counter() - began) / len(views))
            for seen, view, logits in zip(looks, views, answers, strict=True):
                bird = self._birds[seen.number]
                if bird.moved == frame.seconds or self._sits(seen.number, logits, frame.seconds):
                    yield from self._vote(bird, view, logits, frame)

    def _by_classifier(self, looks: list[Seen]) -> dict[Classifier, list[Seen]]:
        """One batch for each; there are two while birds stay that came before a change."""
        batches: dict[Classifier, list[Seen]] = {}
        for seen in looks:
            batches.setdefault(self._birds[seen.number].ballot.classifier, []).append(seen)
        return batches

    def _meet(self, seen: Seen, frame: Frame) -> None:
        bird = self._birds.get(seen.number)
        if bird is None:
            bird = self._birds[seen.number] = _Bird(Ballot(frame, self._classifier))
        elif not seen.sure and bird.newer is None and bird.ballot.decided and not self._one_place:
            # It may turn out to be the same bird, and its votes are added then.
            bird.newer = Ballot(frame, bird.ballot.classifier)
        bird.moved = frame.seconds

    def _vote(
        self, bird: _Bird, view: View, logits: NDArray[np.float32], frame: Frame
    ) -> Generator[Visit, None, None]:
        if self._one_place:
            yield from self._ended_by_nobody(bird, logits, frame)
            named = bird.named == frame.seconds
            if bird.ballot.decided and not named:
                return
            if named and (bird.ballot.decided or bird.ballot.votes >= _SAME_VOTES):
                bird.newer = bird.newer or Ballot(frame, bird.ballot.classifier)
                yield from self._vote_on_newer(bird, bird.newer, view, logits, frame.seconds)
                return
        elif bird.newer is not None:
            yield from self._vote_on_newer(bird, bird.newer, view, logits, frame.seconds)
            return
        if bird.ballot.add(view, logits, frame.seconds):
            # By all views together, though perhaps by none alone.
            bird.named = frame.seconds
            yield bird.ballot.visit(ended=False)

    def _ended_by_nobody(
        self, bird: _Bird, logits: NDArray[np.float32], frame: Frame
    ) -> Generator[Visit, None, None]:
        """At one place something may move on when a bird has left: then nobody can be named."""
        if bird.ballot.names(logits):
            bird.named = frame.seconds
        elif bird.ballot.decided and frame.seconds - bird.named >= _NOBODY_SECONDS:
            if bird.newer is not None:
                bird.ballot.absorb(bird.newer)
            yield bird.ballot.visit(ended=True)
            bird.ballot, bird.newer = Ballot(frame, bird.ballot.classifier), None

    def _vote_on_newer(
        self, bird: _Bird, newer: Ballot, view: View, logits: NDArray[np.float32], seconds: float
    ) -> Generator[Visit, None, None]:
        newer.add(view, logits, seconds)
        same = newer.decided and newer.leader == bird.ballot.leader
        if same or newer.votes >= _SAME_VOTES:
            bird.ballot.absorb(newer)
            bird.newer = None
        elif newer.decided and newer.votes >= _ANOTHER_VOTES and newer.probability >= _ANOTHER_SURE:
            yield bird.ballot.visit(ended=True)
            yield newer.visit(ended=False)
            bird.ballot, bird.newer = newer, None

    def _may_sit(self, frame: Frame, after: float) -> list[Seen]:
        """Where birds were seen last that have not moved for some seconds, nor been looked for."""
        height, width = frame.pixels.shape[:2]
        looks = []
        for seen in self._tracker.unseen(frame.seconds):
            # A camera may change its size, and what it saw before lies elsewhere then.
            if seen.region.right > width or seen.region.bottom > height:
                continue
            bird = self._birds[seen.number]
            since = frame.seconds - max(bird.moved, bird.looked)
            recent = frame.seconds - bird.moved < _STILL_LONGEST_SECONDS
            if bird.ballot.decided and recent and since >= after:
                bird.looked = frame.seconds
                # That it does not move says nothing against it.
                looks.append(replace(seen, region=replace(seen.region, filled=1.0)))
        return looks

    def _sits(self, number: int, logits: NDArray[np.float32], seconds: float) -> bool:
        """Whether what the model sees there is the bird that was."""
        if not self._birds[number].ballot.shows(logits, _STILL_SURE):
            return False
        self._tracker.still(number, seconds)
        return True

    def _left(self, seconds: float) -> Generator[Visit, None, None]:
        for number in self._tracker.gone(seconds):
            yield from self._ended(number)

    def _ended(self, number: int) -> Generator[Visit, None, None]:
        bird = self._birds.pop(number)
        ballot = bird.ballot
        if bird.newer is not None:
            ballot.absorb(bird.newer)
        if ballot.votes >= _FEWEST_VOTES:
            yield ballot.visit(ended=True)
