"""A bird that stays is named once, by all its views; colours stand for species here."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest
from colours import BLUE, GREEN, RED
from PIL import ImageColor
from watching import LEFT, LOST, RIGHT, START, visits_of

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.regions import Region
from birdedge.runtime.sources import Frame
from birdedge.runtime.visits import Visit
from birdedge.runtime.watcher import Watcher


@pytest.fixture
def watch(classifier: Classifier) -> Callable[..., list[Visit]]:
    return partial(visits_of, classifier=classifier)


def test_a_visit_is_told_when_it_is_decided_and_when_it_has_ended(
    watch: Callable[..., list[Visit]],
) -> None:
    decided, ended = watch([{}] * 5 + [{LEFT: RED}] * 20 + [{}] * 40)

    assert (decided.ended, ended.ended) == (False, True)
    assert decided.id == ended.id
    assert ended.prediction.name == decided.prediction.name == "Northern Cardinal"
    assert decided.votes == 3
    assert ended.votes == 20
    assert ended.start == START + timedelta(seconds=0.5)
    assert ended.end == START + timedelta(seconds=2.4)
    assert ended.source == "garden"


def test_a_visit_ends_while_the_camera_is_lost_and_the_next_bird_is_another(
    watch: Callable[..., list[Visit]],
) -> None:
    bird = [{LEFT: RED}] * 10
    first, second = (visit for visit in watch(bird + [LOST] * 40 + bird) if visit.ended)
    (same,) = (visit for visit in watch(bird + [LOST] * 10 + bird) if visit.ended)

    assert (first.votes, second.votes) == (10, 10)
    assert first.end == START + timedelta(seconds=0.9)
    assert second.start == START + timedelta(seconds=5.0)
    assert same.votes == 20


def test_the_picture_is_a_view_of_the_bird_and_where_it_was(
    watch: Callable[..., list[Visit]],
) -> None:
    best = watch([{RIGHT: BLUE}] * 5)[-1].best

    assert best.region == RIGHT
    assert (best.pixels == ImageColor.getrgb(BLUE)).all()
    assert best.box == (220 / 320, 40 / 160, 80 / 320, 80 / 160)


def test_two_birds_at_once_are_two_visits(watch: Callable[..., list[Visit]]) -> None:
    visits = [v for v in watch([{LEFT: RED, RIGHT: BLUE}] * 10) if v.ended]

    assert [v.prediction.name for v in visits] == ["Northern Cardinal", "Indigo Bunting"]


def test_what_shows_in_two_frames_is_no_visit(watch: Callable[..., list[Visit]]) -> None:
    assert watch([{LEFT: RED}] * 2 + [{}] * 40) == []


def test_a_sharp_view_outweighs_blurred_ones(classifier: Classifier) -> None:
    """The vote of each is its sharpness times its size."""
    from birdedge.runtime.visits import Ballot, View

    def view(contrast: int, side: int) -> View:
        fitted = np.full((32, 32, 3), 128, np.uint8)
        fitted[::2] += np.uint8(contrast)
        return View(START, (320, 160), LEFT, np.zeros((side, side, 3), np.uint8), fitted)

    frame = Frame(np.zeros((2, 2, 3), np.uint8), START, "garden", 0, 0.0)
    ballot = Ballot(frame, classifier)
    ballot.add(view(2, 32), np.asarray([9, 0, 0], np.float32), 0.0)
    ballot.add(view(2, 32), np.asarray([9, 0, 0], np.float32), 0.1)
    ballot.add(view(80, 32), np.asarray([0, 0, 9], np.float32), 0.2)

    assert ballot.visit(ended=True).prediction.name == "Indigo Bunting"
    assert view(80, 32).quality() > 10 * view(2, 32).quality()
    assert view(80, 32).quality() > 1.5 * view(80, 16).quality()


def test_a_bird_that_sits_and_becomes_background_is_one_visit(
    watch: Callable[..., list[Visit]],
) -> None:
    sits = [{LEFT: RED}] * 10 + [{LEFT: f"still {RED}"}] * 100 + [{LEFT: RED}] * 10
    visits = [v for v in watch(sits + [{}] * 40) if v.ended]

    assert len(visits) == 1
    assert visits[0].seconds == pytest.approx(11.9)


def test_a_bird_that_sits_is_looked_for_as_what_it_was_taken_for(
    watch: Callable[..., list[Visit]],
    bundle: ModelBundle,
    make_bundle: Callable[..., ModelBundle],
) -> None:
    """A genus, of which no view says more, or the species that occurs here of two alike."""
    purple = "#a010a0"
    gulls = ["Larus argentatus (Herring Gull)", "Pica pica", "Larus californicus (California Gull)"]
    of_a_genus = Classifier(make_bundle(gulls, "gulls"), threads=1, threshold=0.6)
    common = np.asarray([1, 1, 0.001], np.float32)
    by_occurrence = Classifier(bundle, threads=1, threshold=0.6, weights=lambda _: common)
    still = [{LEFT: f"still {purple}"}] * 100
    frames = [{LEFT: purple}] * 10 + still + [{LEFT: purple}] * 10 + [{}] * 40

    for classifier, name in ((of_a_genus, "gull sp."), (by_occurrence, "Northern Cardinal")):
        (visit,) = (v for v in watch(frames, classifier=classifier) if v.ended)

        assert visit.prediction.name == name
        assert visit.seconds == pytest.approx(11.9)


@pytest.mark.parametrize(
    ("newcomer", "name"), [(BLUE, "Indigo Bunting"), (RED, "Northern Cardinal")]
)
@pytest.mark.parametrize("when", range(300, 316, 3))
def test_who_comes_beside_a_bird_that_sits_is_another_visit(
    watch: Callable[..., list[Visit]], newcomer: str, name: str, when: int
) -> None:
    moves, sits = {LEFT: RED}, {LEFT: f"still {RED}"}
    frames = [moves] * 10 + [sits] * 600 + [moves] * 5 + [{}] * 40
    for number in range(when, when + 20):
        frames[number] = {**sits, RIGHT: newcomer}

    other, sitter = (visit for visit in watch(frames) if visit.ended)

    assert (sitter.prediction.name, other.prediction.name) == ("Northern Cardinal", name)
    assert (sitter.start, sitter.end) == (START, START + timedelta(seconds=61.4))
    assert other.start == START + timedelta(seconds=when / 10)
    assert other.end < sitter.end


def test_a_bird_that_sat_and_is_elsewhere_by_now_is_one_visit(
    watch: Callable[..., list[Visit]],
) -> None:
    frames = [{LEFT: RED}] * 10 + [{LEFT: f"still {RED}"}] * 100 + [{RIGHT: RED}] * 10 + [{}] * 40

    (visit,) = (visit for visit in watch(frames) if visit.ended)

    assert (visit.start, visit.end) == (START, START + timedelta(seconds=11.9))


def test_a_bird_that_left_without_a_trace_is_not_waited_for(
    watch: Callable[..., list[Visit]],
) -> None:
    """What is seen at its place is not it."""
    visits = [v for v in watch([{LEFT: RED}] * 10 + [{}] * 60 + [{LEFT: BLUE}] * 5) if v.ended]

    assert [v.prediction.name for v in visits] == ["Northern Cardinal", "Indigo Bunting"]
    assert visits[0].seconds == pytest.approx(0.9)


def test_who_takes_the_place_of_another_is_another_visit(
    watch: Callable[..., list[Visit]],
) -> None:
    """A jay that displaces a finch comes before the finch is given up."""
    near = Region(60, 40, 140, 120)
    visits = watch([{LEFT: RED}] * 20 + [{}] * 10 + [{near: BLUE}] * 20)

    assert [(v.prediction.name, v.ended) for v in visits] == [
        ("Northern Cardinal", False),
        ("Northern Cardinal", True),
        ("Indigo Bunting", False),
        ("Indigo Bunting", True),
    ]
    assert visits[1].seconds == pytest.approx(1.9)
    assert visits[3].start == START + timedelta(seconds=3)


def test_who_is_out_of_sight_for_a_moment_is_the_same_visit(
    watch: Callable[..., list[Visit]],
) -> None:
    near = Region(60, 40, 140, 120)
    visits = [v for v in watch([{LEFT: RED}] * 20 + [{}] * 10 + [{near: RED}] * 20) if v.ended]

    assert [(v.votes, v.seconds) for v in visits] == [(40, pytest.approx(4.9))]


def test_who_is_never_decided_is_unknown_at_the_end(
    watch: Callable[..., list[Visit]], bundle: ModelBundle
) -> None:
    strict = Classifier(bundle, threads=1, threshold=0.999)
    (visit,) = watch([{LEFT: GREEN}] * 10, classifier=strict)

    assert visit.ended
    assert visit.prediction.name == "unknown"
    assert visit.prediction.ranked[0].label.common_name == "Calliope Hummingbird"


def test_what_occurs_there_is_minded_and_what_was_seen_is_kept(
    watch: Callable[..., list[Visit]], bundle: ModelBundle
) -> None:
    asked: list[datetime] = []

    def weights(moment: datetime) -> np.ndarray:
        asked.append(moment)
        return np.asarray([0, 1, 1], np.float32)

    doubtful = Classifier(bundle, threads=1, threshold=0.5, weights=weights)
    (visit,) = watch([{LEFT: RED}] * 10, classifier=doubtful)

    assert visit.prediction.name == "unknown"
    assert visit.unweighted.name == "Northern Cardinal"
    assert asked == [START]


@pytest.fixture(scope="module")
def other(make_bundle: Callable[..., ModelBundle]) -> Iterator[Classifier]:
    """A model with five species, and another input size; what is red is none of the first's."""
    species = ["Pica pica", "Parus major", "Turdus merula", "Picus viridis", "Regulus regulus"]
    weights = np.zeros((3, 5), np.float32)
    weights[[0, 1, 2], [4, 3, 2]] = 4.0
    other = Classifier(make_bundle(species, "other", weights=weights, size=48), threads=1)
    yield other
    other.close()


def test_a_bird_that_stays_is_named_by_the_model_that_it_came_to_and_the_next_by_the_other(
    watch: Callable[..., list[Visit]], other: Classifier
) -> None:
    visits = watch([{LEFT: RED}] * 20 + [{}] * 40 + [{RIGHT: RED}] * 20, changes={10: other})

    assert [(v.prediction.name, v.model_id, v.ended, v.votes) for v in visits] == [
        ("Northern Cardinal", "colours", False, 3),
        ("Northern Cardinal", "colours", True, 20),
        ("Regulus regulus", "other", False, 3),
        ("Regulus regulus", "other", True, 20),
    ]
    assert [len(v.prediction.ranked) for v in visits] == [3, 3, 5, 5]
    assert [v.best.fitted.shape for v in visits[1::2]] == [(32, 32, 3), (48, 48, 3)]


def test_while_a_model_changes_two_birds_at_once_are_named_by_one_each(
    watch: Callable[..., list[Visit]], other: Classifier
) -> None:
    both = {LEFT: RED, RIGHT: BLUE}
    visits = watch([{LEFT: RED}] * 10 + [both] * 10, changes={5: other})

    assert [(v.prediction.name, v.votes) for v in visits if v.ended] == [
        ("Northern Cardinal", 20),
        ("Turdus merula", 10),
    ]


def test_a_bird_that_sits_while_the_model_changes_is_looked_for_with_its_own(
    watch: Callable[..., list[Visit]], other: Classifier
) -> None:
    sits = [{LEFT: RED}] * 10 + [{LEFT: f"still {RED}"}] * 100 + [{LEFT: RED}] * 10
    visits = [v for v in watch(sits, changes={50: other}) if v.ended]

    assert [(v.prediction.name, v.seconds) for v in visits] == [
        ("Northern Cardinal", pytest.approx(11.9))
    ]


@pytest.mark.parametrize(("color", "names"), [(RED, 1), (BLUE, 2)])
def test_who_may_have_taken_a_place_while_the_model_changes_is_judged_by_one(
    watch: Callable[..., list[Visit]], other: Classifier, color: str, names: int
) -> None:
    near = Region(60, 40, 140, 120)
    scenes = [{LEFT: RED}] * 20 + [{}] * 10 + [{near: color}] * 20
    visits = [v for v in watch(scenes, changes={25: other}) if v.ended]

    assert [v.prediction.name for v in visits] == ["Northern Cardinal", "Indigo Bunting"][:names]
    assert sum(v.votes for v in visits) == 40


def test_who_gives_the_model_is_told_when_nothing_moves(classifier: Classifier) -> None:
    told = []

    def now(alone: bool) -> Classifier:
        told.append(alone)
        return classifier

    pixels = np.full((160, 320, 3), 128, np.uint8)
    frames = [Frame(pixels, START, "g", number, number / 10) for number in range(5)]
    list(Watcher(now, lambda frame: [LEFT] if frame.number in (1, 2) else []).visits(frames))

    assert told == [True, True, False, False, True, True]


def test_a_clock_that_is_set_meanwhile_changes_no_duration(classifier: Classifier) -> None:
    def frames() -> Iterator[Frame]:
        for number in range(10):
            year = 2027 if number < 5 else 2025
            taken = datetime(year, 1, 1, tzinfo=UTC)
            yield Frame(np.full((160, 320, 3), 200, np.uint8), taken, "g", number, number / 10)

    visit = list(Watcher(lambda _: classifier, lambda _: [LEFT]).visits(frames()))[-1]

    assert visit.start == datetime(2027, 1, 1, tzinfo=UTC)
    assert visit.end == visit.start + timedelta(seconds=0.9)


def test_a_camera_that_changes_its_size_is_watched_on(classifier: Classifier) -> None:
    """Where a bird sat before may lie outside of the smaller picture."""

    def frames() -> Iterator[Frame]:
        for number in range(60):
            pixels = np.full((160, 320, 3) if number < 10 else (30, 60, 3), 128, np.uint8)
            if number < 10:
                RIGHT.crop(pixels)[:] = ImageColor.getrgb(RED)
            taken = START + timedelta(seconds=number / 10)
            yield Frame(pixels, taken, "garden", number, number / 10)

    watcher = Watcher(lambda _: classifier, lambda frame: [RIGHT] if frame.number < 10 else [])
    visits = list(watcher.visits(frames()))

    assert [visit.ended for visit in visits] == [False, True]
