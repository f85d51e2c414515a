"""A part of the frame where all birds come: their species alone tells one from the next."""

from datetime import timedelta

import pytest
from colours import BLUE, RED
from watching import LEFT, START, Birds, visits_of

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.visits import Visit


def test_at_one_place_the_species_alone_tells_who_comes_next(
    classifier: Classifier,
) -> None:
    one_after_another = [{LEFT: RED}] * 20 + [{LEFT: BLUE}] * 20 + [{}] * 40
    told = [v for v in visits_of(one_after_another, classifier, one_place=True) if v.ended]
    moved = [v for v in visits_of(one_after_another, classifier) if v.ended]
    stays = [
        v for v in visits_of([{LEFT: RED}] * 40 + [{}] * 40, classifier, one_place=True) if v.ended
    ]

    assert [v.prediction.name for v in told] == ["Northern Cardinal", "Indigo Bunting"]
    assert abs(told[1].start - START - timedelta(seconds=2)) <= timedelta(seconds=0.2)
    assert len(moved) == 1
    assert [v.votes for v in stays] == [40]


def test_at_one_place_a_twig_that_moves_on_is_no_part_of_a_visit(
    bundle: ModelBundle,
) -> None:
    strict = Classifier(bundle, threads=1, threshold=0.6)
    twig, bird = {LEFT: "#807f80"}, {LEFT: RED}

    def ended(scenes: list[Birds]) -> list[Visit]:
        return [v for v in visits_of(scenes, strict, one_place=True) if v.ended]

    before = ended([twig] * 40 + [bird] * 20)
    after = ended([bird] * 20 + [twig] * 150 + [bird] * 20)

    assert [v.prediction.name for v in before] == ["unknown", "Northern Cardinal"]
    assert before[1].start >= START + timedelta(seconds=4)
    assert [v.prediction.name for v in after] == [
        "Northern Cardinal", "unknown", "Northern Cardinal",
    ]  # fmt: skip
    assert after[0].seconds == pytest.approx(1.9)
    assert after[2].start >= START + timedelta(seconds=17)


def test_at_one_place_who_is_named_by_all_views_together_stays(
    bundle: ModelBundle,
) -> None:
    """None of these can be named by itself."""
    strict = Classifier(bundle, threads=1, threshold=0.6)
    views = [{LEFT: "#d0d010"}, {LEFT: "#d010d0"}] * 20
    told = visits_of([{}] * 150 + views, strict, one_place=True)

    (visit,) = [v for v in told if v.ended]
    assert visit.prediction.name == "Northern Cardinal"
