"""Regions linked over time: which of them are the same bird as a moment ago."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .regions import Region

_REACH_SIDES = 1.0
_REACH_SIDES_PER_SECOND = 3.0
"""How far a bird may get, in sides of its region: it leaps from perch to perch faster than any
camera looks, and one that was not seen for two seconds may be anywhere nearby."""

_SAME_SHARE = 0.5
"""Regions of one frame that share more than this of the smaller one are parts of one bird."""


@dataclass
class _Track:
    number: int
    region: Region
    moved: float
    there: float


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

    def update(self, seconds: float, regions: Sequence[Region]) -> list[tuple[int, Region]]:
        """Take a frame's regions, largest first.

        Args:
            seconds: when; it never decreases.
            regions: of the frame.

        Returns:
            Each bird's number, counted from 0, and its region.
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
        for column, region in enumerate(regions):
            if column not in found:
                found[column] = _Track(self._born, region, seconds, seconds)
                self._tracks.append(found[column])
                self._born += 1
            found[column].region = region
            found[column].moved = found[column].there = seconds
        return [(found[column].number, region) for column, region in enumerate(regions)]

    def still(self, number: int, seconds: float) -> None:
        """Say that a bird sits where it was seen last, though nothing moves there."""
        for track in self._tracks:
            if track.number == number:
                track.there = seconds

    def unseen(self, seconds: float) -> list[tuple[int, Region]]:
        """Numbers and last regions of the birds that are not seen at a time."""
        return [(track.number, track.region) for track in self._tracks if track.moved < seconds]

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
    """How likely a region is a track's next: 1 to 2 by overlap, 0 to 1 by distance."""
    shared = _shared(track.region, region)
    if shared:
        return 1 + shared / (_area(track.region) + _area(region) - shared)
    (x0, y0), (x1, y1) = _middle(track.region), _middle(region)
    side = math.sqrt(max(_area(track.region), _area(region)))
    reach = side * (_REACH_SIDES + _REACH_SIDES_PER_SECOND * (seconds - track.moved))
    return max(0.0, 1 - math.hypot(x1 - x0, y1 - y0) / reach)


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
