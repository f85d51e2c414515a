"""The watch over a new model: what is bad is put back, by itself, and never taken again."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from publisher import put, renamed

from birdedge.runtime import probation as probation_module
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import BackendError, SourceError
from birdedge.runtime.health import Health, read_health, write_health
from birdedge.runtime.installed import INSIDE, Installed
from birdedge.runtime.model_state import Trial
from birdedge.runtime.probation import Probation, counted_start, stability_index

LATENCY = 0.010


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def installed(tmp_path: Path, bundle: ModelBundle) -> Installed:
    """A device whose model is new, and took ten milliseconds when it was tried."""
    device = Installed(tmp_path / "models")
    for name in ("garden-1", "garden-2"):
        put(device, renamed(bundle, tmp_path / name, name))
    device.use(device.find("garden-1").name)
    device.use(device.find("garden-2").name)
    on_trial(device)
    return device


def on_trial(device: Installed, **conditions: Any) -> None:
    with device.changing() as state:
        digest = device.current().digest
        state.trial = Trial(digest=digest, hours=24.0, latency=LATENCY).model_copy(
            update=conditions
        )


@pytest.fixture
def probation(installed: Installed) -> Callable[[], Probation]:
    return lambda: Probation(installed, installed.current())


def sure(device: Installed, name: str, spread: Callable[[], float], visits: int) -> None:
    """Have a model's health say how sure it was of so many visits."""
    health = Health(digest=device.find(name).digest)
    for _ in range(visits):
        health.saw(spread())
    write_health(device.folder, health)


def test_a_model_that_does_as_before_stays(
    installed: Installed, probation: Callable[[], Probation]
) -> None:
    draw = random.Random(0)
    sure(installed, "garden-1", lambda: draw.betavariate(8, 2), 300)
    watching = probation()
    for _ in range(300):
        watching.inferred(LATENCY * draw.uniform(0.8, 1.6))
        watching.saw(draw.betavariate(8, 2))
        watching.judge()

    assert installed.current().model == "garden-2"
    assert installed.state().blocked == {}


def test_a_model_that_became_slow_is_put_back(
    installed: Installed, probation: Callable[[], Probation], capsys: pytest.CaptureFixture[str]
) -> None:
    watching = probation()
    for _ in range(250):
        watching.inferred(LATENCY * 4)
        watching.judge()

    assert installed.current().model == "garden-1"
    (blocked,) = installed.state().blocked.values()
    assert blocked.model == "garden-2" and blocked.reason.startswith("too slow: 4")
    assert "garden-2 is put back (too slow: " in capsys.readouterr().err


def test_a_machine_that_was_slow_before_is_not_the_new_models_fault(
    installed: Installed, probation: Callable[[], Probation]
) -> None:
    health = Health(digest=installed.find("garden-1").digest)
    for _ in range(250):
        health.inferred(LATENCY * 3)
    write_health(installed.folder, health)
    watching = probation()
    for _ in range(250):
        watching.inferred(LATENCY * 4)
    watching.judge()

    assert installed.current().model == "garden-2"


@pytest.mark.parametrize(
    "confidence", [lambda: 0.35, lambda: 1.0], ids=["never sure", "always sure"]
)
def test_a_model_whose_confidence_departs_from_before_is_put_back(
    installed: Installed, probation: Callable[[], Probation], confidence: Callable[[], float]
) -> None:
    draw = random.Random(0)
    sure(installed, "garden-1", lambda: draw.uniform(0.4, 1.0), 300)
    watching = probation()
    for _ in range(40):
        watching.saw(confidence())
    watching.judge()

    assert installed.current().model == "garden-1"
    (blocked,) = installed.state().blocked.values()
    assert "population stability index" in blocked.reason


def test_a_few_visits_say_nothing(installed: Installed, probation: Callable[[], Probation]) -> None:
    sure(installed, "garden-1", lambda: 0.95, 300)
    watching = probation()
    for _ in range(20):
        watching.saw(0.1)
    watching.judge()

    assert installed.current().model == "garden-2"


def test_chance_alone_hardly_ever_puts_a_model_back() -> None:
    """The bound is that of one in a thousand; two hundred draws exceed it once at most, or so."""
    draw = random.Random(1)
    exceeded = 0
    for _ in range(200):
        one, other = Health(digest=""), Health(digest="")
        for _ in range(200):
            one.saw(draw.betavariate(4, 2))
        for _ in range(40):
            other.saw(draw.betavariate(4, 2))
        index, bound = stability_index(one.confidence, other.confidence)
        exceeded += index > max(bound, 0.25)

    assert exceeded <= 2


def dies(installed: Installed) -> None:
    start = counted_start(installed)
    start.__enter__()
    # Nobody leaves the block.
    del start


def test_a_service_that_dies_again_and_again_is_given_the_model_before(
    installed: Installed,
) -> None:
    for _ in range(3):
        dies(installed)
        assert installed.current().model == "garden-2"
    dies(installed)

    assert installed.current().model == "garden-1"
    (blocked,) = installed.state().blocked.values()
    assert blocked.reason == "the service failed 3 times with it"


def ends(installed: Installed, error: Exception | None) -> None:
    with suppress(Exception), counted_start(installed):
        if error is not None:
            raise error


@pytest.mark.parametrize("error", [BackendError("it gave NaN"), ValueError("a bug")])
def test_a_service_that_ends_with_an_error_of_the_model_has_failed(
    installed: Installed, error: Exception
) -> None:
    for _ in range(4):
        ends(installed, error)

    assert installed.current().model == "garden-1"


@pytest.mark.parametrize(
    "error", [None, SourceError("no camera at /dev/video0"), BrokenPipeError()]
)
def test_a_service_that_is_stopped_or_has_no_camera_has_not_failed(
    installed: Installed, error: Exception | None
) -> None:
    for _ in range(10):
        ends(installed, error)

    assert installed.current().model == "garden-2"


def test_a_machine_that_loses_its_power_again_and_again_is_not_the_models_fault(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        monkeypatch.setattr(probation_module, "_boot", lambda number=number: f"boot-{number}")
        dies(installed)

    assert installed.current().model == "garden-2"


def test_ten_minutes_of_frames_are_a_good_start(installed: Installed) -> None:
    clock = Clock()
    dies(installed)
    watching = Probation(installed, installed.current(), clock)
    for _ in range(30):
        clock.seconds += 30
        watching.frame()

    trial = installed.state().trial
    assert trial is not None and trial.starts == 0
    health = read_health(installed.folder, installed.current().digest)
    assert health is not None and health.frames > 10


def test_a_trial_ends_after_so_many_hours_at_work(installed: Installed) -> None:
    on_trial(installed, hours=1.0)
    clock = Clock()
    watching = Probation(installed, installed.current(), clock)
    for _ in range(300):
        watching.inferred(LATENCY)
    while clock.seconds < 3500:
        clock.seconds += 10
        watching.frame()
    # A camera that is away for a night is no night at work.
    clock.seconds += 12 * 3600
    watching.frame()
    assert installed.state().trial is not None
    for _ in range(20):
        clock.seconds += 10
        watching.frame()
    assert installed.state().trial is None
    for _ in range(3000):
        watching.inferred(LATENCY * 10)
    watching.judge()

    assert installed.current().model == "garden-2"


def test_a_trial_that_ends_as_another_model_comes_does_not_end_the_others(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_trial(installed, hours=0.0)
    watching = Probation(installed, installed.current())
    for _ in range(300):
        watching.inferred(LATENCY)
    changing = installed.changing

    def as_sync_brings_another() -> Any:
        monkeypatch.setattr(installed, "changing", changing)
        with changing() as state:
            state.trial = Trial(digest="f" * 64, hours=24.0)
        return changing()

    monkeypatch.setattr(installed, "changing", as_sync_brings_another)
    watching.judge()

    trial = installed.state().trial
    assert trial is not None and trial.digest == "f" * 64


def test_a_feeder_without_birds_says_nothing_of_a_model(installed: Installed) -> None:
    on_trial(installed, hours=1.0)
    clock = Clock()
    watching = Probation(installed, installed.current(), clock)
    for _ in range(100):
        clock.seconds += 600
        watching.frame()

    assert installed.state().trial is not None


def test_a_model_that_somebody_pinned_or_whose_keeper_expects_it_stays(
    installed: Installed, probation: Callable[[], Probation]
) -> None:
    sure(installed, "garden-1", lambda: 0.5, 300)
    sure(installed, "garden-2", lambda: 0.99, 300)
    on_trial(installed, confidence=False)
    probation().judge()
    assert installed.current().model == "garden-2"
    on_trial(installed)
    with installed.changing() as state:
        state.pinned = True
    probation().judge()
    assert installed.current().model == "garden-2"
    with installed.changing() as state:
        state.pinned = False
    probation().judge()

    assert installed.current().model == "garden-1"


def test_a_model_is_put_back_only_if_it_is_still_in_use(
    installed: Installed, probation: Callable[[], Probation]
) -> None:
    """Somebody, or a sync, was faster than the watch."""
    watching = probation()
    for _ in range(250):
        watching.inferred(LATENCY * 4)
    installed.use(installed.find("garden-1").name)
    watching.judge()

    assert installed.current().model == "garden-1"
    assert {entry.model for entry in installed.state().blocked.values()} <= {"garden-2"}


def test_where_the_model_before_is_damaged_the_one_inside_is_used(
    installed: Installed, probation: Callable[[], Probation]
) -> None:
    (installed.find("garden-1").folder / "golden.npz").write_bytes(b"")
    watching = probation()
    for _ in range(250):
        watching.inferred(LATENCY * 4)
    watching.judge()

    assert installed.current().name == INSIDE


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"digest": 1}', b'{"digest": "x", "latencies": [1]}', b"\xff"]
)
def test_damaged_statistics_are_none(installed: Installed, content: bytes) -> None:
    model = installed.current()
    (installed.folder / f"health-{model.digest[:12]}.json").write_bytes(content)

    assert read_health(installed.folder, model.digest) is None


def test_the_median_latency_is_known_to_a_tenth() -> None:
    health = Health(digest="")
    for milliseconds in (1, 20, 20, 20, 900):
        health.inferred(milliseconds / 1000)

    assert health.latency() == pytest.approx(0.020, rel=0.12)
    assert Health(digest="").latency() is None


def test_how_sure_a_model_was_long_ago_is_forgotten_but_not_that_there_were_visits() -> None:
    health = Health(digest="")
    for probability in [0.35] * 4000 + [0.95] * 4000:
        health.saw(probability)

    assert health.visits == 8000
    assert 900 < sum(health.confidence) < 2000
    assert health.confidence[9] > 0.9 * sum(health.confidence)
