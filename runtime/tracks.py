"""Regions linked over time: which of them are the same bird as a moment ago."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .regions import Region

_REACH_SIDES = 1.0
_REACH_SIDES_PER_SECOND = 3.0
"""How far a bird may get, in sides of its region: it leaps from perch to perch faster than any
camera looks, and one that was not seen for two seconds may be anywhere nearby."""

_ANYWHERE = 1e-3

SURE_SECONDS = 0.5
"""A region that overlaps the last one, and comes so soon after it, shows the same bird for sure."""

_SAME_SHARE = 0.5
"""Regions of one frame that share more than this of the smaller one are parts of one bird."""


@dataclass
class _Track:
    """A bird that is followed.

    Attributes:
        number: the bird's.
        region: where it was seen last.
        moved: when it was seen to move, in seconds.
        there: when it was seen at all, moving or sitting.
    """

    number: int
    region: Region
    moved: float
    there: float


@dataclass(frozen=True)
class Seen:
    """A bird in a frame.

    Attributes:
        number: the bird's, counted from 0.
        region: where it is.
        sure: whether it is the bird that had this number before, and not another one that came
            when that one left.
    """

    number: int
    region: Region
    sure: bool = True


class Tracker:
    """Links regions by overlap (intersection over union) and, where there is none, by distance.

    Pairs are taken greedily, the likeliest first, as in SORT's simplest descendants (E. Bochinski
    et al., "High-Speed Tracking-by-Detection Without Using Image Information", AVSS 2017). The
    tracker libraries at hand bring SciPy and Matplotlib along for the few birds of a garden.

    Args:
        patience: seconds after which a bird that is not seen has left.
    """

    def __init__(self, patience: float = 3.0) -> None:
        self._patience = patience
        self._tracks: list[_Track] = []
        self._born = 0

    def update(self, seconds: float, regions: Sequence[Region]) -> list[Seen]:
        """Take a frame's regions, largest first.

        Args:
            seconds: when; it never decreases.
            regions: of the frame.

        Returns:
            The birds, in the order of their regions.
        """
        regions = _distinct(regions)
        pairs = sorted(
            (
                (_likeness(track, region, seconds), row, column)
                for row, track in enumerate(self._tracks)
                for column, region in enumerate(regions)
            ),
            reverse=True,
        )
        free_tracks = set(range(len(self._tracks)))
        found: dict[int, _Track] = {}
        for likeness, row, column in pairs:
            if likeness > 0 and row in free_tracks and column not in found:
                free_tracks.remove(row)
                found[column] = self._tracks[row]
        return [
            self._seen(found.get(column), region, seconds) for column, region in enumerate(regions)
        ]

    def any_stranger(self, regions: Sequence[Region]) -> bool:
        """Whether a region is where no bird was seen last."""
        return any(
            not any(_shared(track.region, region) for track in self._tracks) for region in regions
        )

    def _seen(self, track: _Track | None, region: Region, seconds: float) -> Seen:
        if track is None:
            track = _Track(self._born, region, seconds, seconds)
            self._tracks.append(track)
            self._born += 1
        near = _shared(track.region, region) > 0 and seconds - track.moved <= SURE_SECONDS
        track.region, track.moved, track.there = region, seconds, seconds
        return Seen(track.number, region, near)

    def still(self, number: int, seconds: float) -> None:
        """Say that a bird sits where it was seen last, though nothing moves there."""
        for track in self._tracks:
            if track.number == number:
                track.there = seconds

    def unseen(self, seconds: float) -> list[Seen]:
        """Where the birds were last that are not seen at a time."""
        return [Seen(track.number, track.region) for track in self._tracks if track.moved < seconds]

    def gone(self, seconds: float) -> list[int]:
        """Numbers of the birds that have left; they are forgotten."""
        left = [track for track in self._tracks if seconds - track.there > self._patience]
        self._tracks = [track for track in self._tracks if track not in left]
        return [track.number for track in left]


def _distinct(regions: Sequence[Region]) -> list[Region]:
    """Regions without those that are mostly part of a larger one before them."""
    kept: list[Region] = []
    for region in regions:
        if all(_shared(region, other) <= _SAME_SHARE * _smaller(region, other) for other in kept):
            kept.append(region)
    return kept


def _likeness(track: _Track, region: Region, seconds: float) -> float:
    """How likely a region is a track's next: 1 to 2 by overlap, 0 to 1 by distance.

    A bird that moved a moment ago cannot have vanished: it may be as far as it likes, if there is
    nothing nearer. One that sat in its place a moment ago was seen there, and is no nearer to a
    newcomer elsewhere for having sat long.
    """
    shared = _shared(track.region, region)
    if shared:
        return 1 + shared / (_area(track.region) + _area(region) - shared)
    (x0, y0), (x1, y1) = _middle(track.region), _middle(region)
    side = math.sqrt(max(_area(track.region), _area(region)))
    distance = math.hypot(x1 - x0, y1 - y0) / side
    reach = _REACH_SIDES + _REACH_SIDES_PER_SECOND * (seconds - track.there)
    if distance >= reach and seconds - track.moved <= SURE_SECONDS:
        return _ANYWHERE / distance
    return max(0.0, 1 - distance / reach)


def _shared(one: Region, other: Region) -> int:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(across, 0) * max(down, 0)


def _smaller(one: Region, other: Region) -> int:
    return min(_area(one), _area(other))


def _area(region: Region) -> int:
    return (region.right - region.left) * (region.bottom - region.top)


def _middle(region: Region) -> tuple[float, float]:
    return (region.left + region.right) / 2, (region.top + region.bottom) / 2
