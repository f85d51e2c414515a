"""Another model takes over while birds are watched: it is loaded aside, and the old one goes on."""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from birdedge.runtime import live
from birdedge.runtime.backends import Backend
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.errors import BackendError, BundleError
from birdedge.runtime.live import LiveClassifier
from birdedge.runtime.load import load_classifier


def is_open(backend: Backend) -> bool:
    return hasattr(backend, "_session")


class Shelf:
    """A link to the bundle that is wanted, and a loader that can be made to wait.

    Attributes:
        engines: of all that were loaded, in that order. They keep no classifier alive.
        may_load: cleared, nothing gets loaded.
    """

    def __init__(self, link: Path) -> None:
        self.link = link
        self.engines: list[Backend] = []
        self.may_load = Event()
        self.may_load.set()

    def want(self, bundle: ModelBundle) -> None:
        draft = self.link.with_name("draft")
        draft.symlink_to(bundle.folder)
        draft.rename(self.link)

    def wanted(self) -> Path:
        return self.link.resolve()

    def load(self) -> Classifier:
        folder = self.wanted()
        assert self.may_load.wait(10)
        classifier = load_classifier(folder, threads=1)
        self.engines.append(classifier.backend)
        return classifier

    def live(self, longest_wait: float = 0.0) -> LiveClassifier:
        return LiveClassifier(self.load, self.wanted, seconds=0.0, longest_wait=longest_wait)


@pytest.fixture(scope="module")
def first(make_bundle: Callable[..., ModelBundle]) -> ModelBundle:
    return make_bundle(id_="first")


@pytest.fixture(scope="module")
def second(make_bundle: Callable[..., ModelBundle]) -> ModelBundle:
    return make_bundle(id_="second", size=48)


@pytest.fixture(scope="module")
def third(make_bundle: Callable[..., ModelBundle]) -> ModelBundle:
    return make_bundle(id_="third")


@pytest.fixture
def damaged(second: ModelBundle, tmp_path: Path) -> ModelBundle:
    folder = tmp_path / "damaged"
    shutil.copytree(second.folder, folder)
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"!")
    return ModelBundle(folder, second.manifest)


@pytest.fixture
def shelf(tmp_path: Path, first: ModelBundle) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path / "current")
    shelf.want(first)
    yield shelf
    shelf.may_load.set()


def id_of(live: LiveClassifier) -> str:
    return live.now().bundle.manifest.id


def wait_for(live: LiveClassifier, bundle: ModelBundle) -> None:
    wait_until(lambda: id_of(live) == bundle.manifest.id)


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def settle(live: LiveClassifier, seconds: float = 0.3) -> None:
    """Ask again and again, as a camera's frames do."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        live.now()
        time.sleep(0.005)


def test_the_old_one_goes_on_until_the_new_one_is_ready(
    shelf: Shelf, first: ModelBundle, second: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    live = shelf.live()
    shelf.may_load.clear()
    shelf.want(second)
    settle(live)
    assert id_of(live) == first.manifest.id
    assert live.now().logits(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 3)
    shelf.may_load.set()
    wait_for(live, second)

    assert live.now().logits(np.zeros((1, 48, 48, 3), np.uint8)).shape == (1, 3)
    assert capsys.readouterr().err == (
        f"birdedge: {second.manifest.id} names the birds from now on\n"
    )
    live.close()


def test_nothing_is_loaded_while_birds_are_there(shelf: Shelf, second: ModelBundle) -> None:
    live = shelf.live(longest_wait=60.0)
    shelf.want(second)
    settle(live)
    assert len(shelf.engines) == 1
    live.now(alone=True)

    wait_for(live, second)
    live.close()


def test_birds_that_never_leave_hold_it_up_for_a_time_and_each_one_anew(
    shelf: Shelf, second: ModelBundle, third: ModelBundle
) -> None:
    live = shelf.live(longest_wait=0.4)
    for loaded, bundle in enumerate((second, third), start=1):
        shelf.want(bundle)
        settle(live, 0.2)
        assert len(shelf.engines) == loaded
        wait_for(live, bundle)
    live.close()


def test_the_old_one_is_closed_when_the_last_bird_that_it_names_has_left(
    shelf: Shelf, second: ModelBundle
) -> None:
    live = shelf.live()
    of_a_bird = live.now()
    shelf.want(second)
    wait_for(live, second)
    assert [is_open(engine) for engine in shelf.engines] == [True, True]
    of_a_bird.logits(np.zeros((1, 32, 32, 3), np.uint8))
    del of_a_bird

    assert [is_open(engine) for engine in shelf.engines] == [False, True]
    live.close()


def test_where_it_cannot_be_asked_what_is_wanted_the_old_one_goes_on(
    shelf: Shelf, first: ModelBundle
) -> None:
    answers: list[object] = ["first", OSError(errno.EIO, "Input/output error"), "first"]

    def wanted() -> object:
        answer = answers.pop(0) if answers else "first"
        if isinstance(answer, OSError):
            raise answer
        return answer

    live = LiveClassifier(shelf.load, wanted, seconds=0.0)
    settle(live, 0.05)

    assert id_of(live) == first.manifest.id
    assert answers == []
    live.close()


def test_the_first_one_must_be_good(shelf: Shelf, damaged: ModelBundle) -> None:
    shelf.want(damaged)

    with pytest.raises(BundleError, match=r"model\.onnx has"):
        shelf.live()


def test_one_that_cannot_be_loaded_is_told_once_and_tried_again_when_another_was_wanted(
    shelf: Shelf,
    first: ModelBundle,
    damaged: ModelBundle,
    second: ModelBundle,
    capsys: pytest.CaptureFixture[str],
) -> None:
    live = shelf.live()
    tries = []
    shelf.want(damaged)
    for bundle in (first, damaged, second):
        settle(live)
        tries.append(capsys.readouterr().err.count("model.onnx has"))
        assert id_of(live) == first.manifest.id
        shelf.want(bundle)
    wait_for(live, second)

    assert tries == [1, 0, 1]
    live.close()


def test_what_is_wrong_is_told_with_who_goes_on(
    shelf: Shelf, first: ModelBundle, damaged: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    live = shelf.live()
    shelf.want(damaged)
    settle(live)
    (line,) = capsys.readouterr().err.splitlines()

    assert line.startswith(f"birdedge: another model is wanted, but {damaged.folder}/model.onnx")
    assert line.endswith(f"; {first.manifest.id} goes on")
    live.close()


@pytest.mark.parametrize("error", [BackendError("no answer"), RuntimeError("no answer")])
def test_one_that_gives_no_answer_never_takes_over(
    shelf: Shelf,
    first: ModelBundle,
    second: ModelBundle,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    live = shelf.live()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Classifier, "logits", fail)
    shelf.want(second)
    settle(live)

    assert "but no answer; " in capsys.readouterr().err
    assert id_of(live) == first.manifest.id
    error.__traceback__ = None  # it is the test's own, and holds what failed
    assert [is_open(engine) for engine in shelf.engines] == [True, False]
    live.close()


def test_the_newest_wins_and_what_was_never_used_is_closed(
    shelf: Shelf, second: ModelBundle, third: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    live = shelf.live()
    shelf.may_load.clear()
    shelf.want(second)
    settle(live)
    shelf.want(third)
    settle(live)
    shelf.may_load.set()
    wait_for(live, third)

    assert capsys.readouterr().err.count("from now on") == 1
    assert [is_open(engine) for engine in shelf.engines] == [False, False, True]
    live.close()


def test_one_that_is_no_longer_wanted_when_it_is_ready_goes_unused(
    shelf: Shelf, first: ModelBundle, second: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    live = shelf.live()
    shelf.may_load.clear()
    shelf.want(second)
    settle(live)
    shelf.want(first)
    shelf.may_load.set()
    settle(live)

    assert id_of(live) == first.manifest.id
    assert capsys.readouterr().err == ""
    assert [is_open(engine) for engine in shelf.engines] == [True, False]
    shelf.want(second)
    wait_for(live, second)
    live.close()


def test_it_is_not_asked_more_often_than_it_should_be(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    live = LiveClassifier(shelf.load, lambda: asked.append(1) or shelf.wanted(), seconds=0.2)
    start = time.monotonic()
    settle(live, 0.9)

    assert 2 <= len(asked) <= 1 + (time.monotonic() - start) / 0.2
    live.close()


def test_all_are_closed_at_the_end_also_what_a_bird_still_holds_and_what_is_being_loaded(
    shelf: Shelf, second: ModelBundle, third: ModelBundle
) -> None:
    live = shelf.live()
    of_a_bird = live.now()
    shelf.want(second)
    wait_for(live, second)
    shelf.want(third)
    live.now()
    live.close()

    assert len(shelf.engines) == 3
    assert not any(is_open(engine) for engine in shelf.engines)
    assert of_a_bird.backend is shelf.engines[0]


def test_one_that_is_loaded_too_late_is_closed_by_itself(
    shelf: Shelf, second: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_PATIENCE_SECONDS", 0.05)
    running = shelf.live()
    shelf.may_load.clear()
    shelf.want(second)
    running.now()
    running.close()
    assert len(shelf.engines) == 1
    shelf.may_load.set()
    wait_until(lambda: len(shelf.engines) == 2)

    wait_until(lambda: not is_open(shelf.engines[1]))


def test_a_hundred_changes_leave_nothing_behind(
    shelf: Shelf, first: ModelBundle, second: ModelBundle
) -> None:
    live = shelf.live()
    shelf.want(second)
    wait_for(live, second)
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for number in range(100):
        bundle = (first, second)[number % 2]
        shelf.want(bundle)
        wait_for(live, bundle)

    assert sum(map(is_open, shelf.engines)) == 1
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1  # noqa: PTH208
    live.close()
    assert not any(map(is_open, shelf.engines))
