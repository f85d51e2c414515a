"""The same bird keeps its number from frame to frame, and another one has another."""

from birdedge.runtime.regions import Region
from birdedge.runtime.tracks import Seen, Tracker


def square(x: int, y: int, side: int = 100) -> Region:
    return Region(x, y, x + side, y + side)


def numbers(tracker: Tracker, seconds: float, *regions: Region) -> list[int]:
    return [seen.number for seen in tracker.update(seconds, regions)]


def test_a_bird_that_hops_is_the_same() -> None:
    tracker = Tracker()
    assert numbers(tracker, 0.0, square(100, 100)) == [0]
    assert numbers(tracker, 0.1, square(150, 120)) == [0]


def test_a_bird_that_flies_past_is_the_same_though_nothing_overlaps() -> None:
    tracker = Tracker()
    places = [square(x, 300) for x in range(0, 1200, 120)]

    assert {
        number
        for frame, place in enumerate(places)
        for number in numbers(tracker, frame / 10, place)
    } == {0}


def test_two_birds_keep_their_numbers_whichever_is_larger() -> None:
    tracker = Tracker()
    assert numbers(tracker, 0.0, square(0, 0, 120), square(900, 0)) == [0, 1]
    assert numbers(tracker, 0.1, square(890, 0, 130), square(20, 0)) == [1, 0]


def test_at_the_other_end_of_the_garden_it_is_another_bird() -> None:
    tracker = Tracker()
    assert numbers(tracker, 0.0, square(0, 0)) == [0]
    assert numbers(tracker, 0.1, square(0, 0), square(1000, 500)) == [0, 1]
    assert numbers(tracker, 0.9, square(500, 0)) == [2]


def test_who_moved_a_moment_ago_cannot_have_vanished() -> None:
    tracker = Tracker()
    assert numbers(tracker, 0.0, square(0, 0)) == [0]
    assert [seen.sure for seen in tracker.update(0.25, [square(1000, 500)])] == [False]
    assert numbers(tracker, 0.5, square(100, 50)) == [0]


def test_who_was_out_of_sight_for_a_moment_may_have_got_far() -> None:
    tracker = Tracker()
    assert numbers(tracker, 0.0, square(0, 0)) == [0]
    assert numbers(tracker, 2.5, square(500, 0)) == [0]


def test_parts_of_a_bird_are_one_bird() -> None:
    tracker = Tracker()
    assert numbers(tracker, 0.0, square(100, 100, 200), square(180, 180, 90)) == [0]


def test_who_is_not_seen_any_more_has_left_and_comes_back_as_another() -> None:
    tracker = Tracker(patience=3.0)
    numbers(tracker, 0.0, square(0, 0))
    assert tracker.gone(3.0) == []
    assert tracker.gone(3.1) == [0]
    assert tracker.gone(3.2) == []
    assert numbers(tracker, 3.3, square(0, 0)) == [1]


def test_who_sits_still_stays() -> None:
    tracker = Tracker(patience=3.0)
    numbers(tracker, 0.0, square(0, 0))
    numbers(tracker, 2.0)
    assert tracker.unseen(2.0) == [Seen(0, square(0, 0))]
    tracker.still(0, 2.0)

    assert tracker.gone(4.9) == []
    assert tracker.gone(5.1) == [0]


def test_it_is_sure_of_a_bird_only_while_its_places_overlap_and_without_a_gap() -> None:
    tracker = Tracker()
    (first,) = tracker.update(0.0, [square(0, 0)])
    (near,) = tracker.update(0.1, [square(50, 0)])
    (far,) = tracker.update(0.2, [square(190, 0)])
    (late,) = tracker.update(1.2, [square(200, 0)])

    assert [seen.number for seen in (first, near, far, late)] == [0] * 4
    assert [seen.sure for seen in (first, near, far, late)] == [True, True, False, False]
