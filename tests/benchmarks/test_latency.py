"""Contenders take turns in processes of their own, and what fails there harms no other."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

import pytest
from colours import RED
from PIL import Image

from birdedge.benchmarks import latency
from birdedge.benchmarks.contenders import Contender
from birdedge.benchmarks.energy import EnergyMeter
from birdedge.benchmarks.latency import Plan, Timing, measure
from birdedge.benchmarks.lineup import contenders_of, with_peers
from birdedge.benchmarks.worker import Answer, PeakMemory, TimeInference
from birdedge.benchmarks.worker.process import Worker, WorkerError
from birdedge.runtime.bundle import ModelBundle

QUICK = Plan(rounds=4, seconds=0, cold_starts=1, timeout=20, tools=False)


def run(
    contenders: Sequence[Contender], plan: Plan = QUICK, stop: Event | None = None
) -> list[Timing]:
    return measure(contenders, plan, lambda text: None, stop or Event())


def test_all_are_measured_side_by_side_and_the_first_is_the_reference(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    photo = tmp_path / "red.jpg"
    Image.new("RGB", (64, 48), RED).save(photo)
    plan = Plan(**{**vars(QUICK), "photos": (photo,)})
    ours = contenders_of([bundle.folder], None, [1, 2], [1])
    timings = run(list(with_peers(ours)), plan)

    assert [(timing.contender.runner, timing.contender.threads) for timing in timings] == [
        ("birdedge", 1), ("bare onnx", 1), ("birdedge", 2), ("bare onnx", 2)
    ]  # fmt: skip
    first = timings[0]
    for timing in timings:
        assert timing.problem is None
        assert len(timing.rounds) == len(timing.end_to_end) == 4
        assert all(0 < sample < 1 for samples in timing.rounds for sample in samples)
        assert timing.reference == first.rounds
        (start,) = timing.starts
        assert 0.05 < start.interpreter + start.imports < start.total < 20
        assert timing.peak_megabytes is not None and 20 < timing.peak_megabytes < 500
        assert all(0 < samples[0] < 1 for samples in timing.end_to_end)
    assert len(timings[1].own) > 10, "ONNX Runtime's own clock"


def test_batches_are_timed_whole(bundle: ModelBundle) -> None:
    one, eight = run(contenders_of([bundle.folder], None, [1], [1, 8]))

    assert eight.contender.name == "onnx-fp32 x 8"
    assert eight.rounds and not eight.end_to_end
    assert list(with_peers([eight.contender])) == [eight.contender]
    assert one.rounds


def test_those_that_fail_are_rows_with_a_reason(
    with_engines: Callable[..., ModelBundle],
) -> None:
    bundle = with_engines("missing", "onnx", "crashes", "unknown", "later", "hangs")
    contenders = contenders_of([bundle.folder], None, [1], [1])
    start = time.monotonic()
    timings = run(contenders, Plan(**{**vars(QUICK), "timeout": 6.0}))
    missing, onnx, crashes, unknown, later, hangs = timings

    assert time.monotonic() - start < 60
    assert missing.problem is not None
    assert missing.problem.endswith('not installed: pip install "birdedge[tpu]"')
    assert onnx.problem is None and len(onnx.rounds) == 4
    assert crashes.problem == "killed by signal 6: illegal instruction, says the engine"
    assert unknown.problem is not None and "no engine 'unknown' is known" in unknown.problem
    assert later.problem is not None and later.problem.startswith("killed by signal 6")
    assert hangs.problem == "no answer in 6 s; killed"
    assert onnx.reference == onnx.rounds, "the first that runs"


def test_where_not_all_fit_into_memory_the_reference_runs_with_each_part(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    running = 0
    init, close = Worker.__init__, Worker.close

    def counted(self: Worker, *arguments: object) -> None:
        nonlocal running
        init(self, *arguments)  # type: ignore[arg-type]
        running += 1
        together.append(running)

    def closed(self: Worker) -> None:
        nonlocal running
        running -= 1
        close(self)

    monkeypatch.setattr(latency.Worker, "__init__", counted)
    monkeypatch.setattr(latency.Worker, "close", closed)
    contenders = contenders_of([bundle.folder], None, [1, 2, 3], [1, 2])
    timings = run(contenders, Plan(**{**vars(QUICK), "at_once": 3, "cold_starts": 0}))

    assert max(together) == 3
    assert all(len(timing.rounds) == 4 for timing in timings)
    assert timings[1].reference == timings[0].rounds
    # Measured anew beside the others, not remembered.
    assert timings[3].reference not in ([], timings[0].rounds)
    assert timings[3].reference == timings[4].reference


def test_a_stop_keeps_the_rounds_that_are_finished(bundle: ModelBundle) -> None:
    stop = Event()
    contenders = contenders_of([bundle.folder], None, [1, 2], [1])

    def tell(text: str) -> None:
        if text == "round 3":
            stop.set()

    timings = measure(contenders, Plan(**{**vars(QUICK), "rounds": 1000}), tell, stop)

    assert [len(timing.rounds) for timing in timings] == [3, 3]
    assert all(timing.problem is None for timing in timings)
    never = run(contenders, stop=stop)
    assert [timing.problem for timing in never] == ["interrupted"] * 2


def test_each_is_kept_to_as_many_cores_as_it_has_threads(bundle: ModelBundle) -> None:
    (contender,) = contenders_of([bundle.folder], None, [1], [1])
    core = max(os.sched_getaffinity(0))
    worker = Worker(contender, 20, frozenset({core}))
    affinity = os.sched_getaffinity(worker._process.pid)
    worker.close()

    assert affinity == {core}


def test_a_worker_ends_with_its_bench(bundle: ModelBundle, tmp_path: Path) -> None:
    (contender,) = contenders_of([bundle.folder], None, [1], [1])
    worker = Worker(contender, 20)
    worker._pipe.close()
    worker._process.send_signal(signal.SIGCONT)

    assert worker._process.wait(20) == 0
    with pytest.raises(WorkerError):
        worker.ask(TimeInference(1))


def test_who_is_not_asked_stands_still_and_ends_when_the_bench_is_killed(
    bundle: ModelBundle,
) -> None:
    """Threads that spin would take a core from others; who stands still hears nothing."""
    program = """
import sys, time
from pathlib import Path
from birdedge.benchmarks.lineup import contenders_of
from birdedge.benchmarks.worker import TimeInference
from birdedge.benchmarks.worker.process import Worker
(contender,) = contenders_of([Path(sys.argv[1])], None, [1], [1])
worker = Worker(contender, 20)
worker.ask(TimeInference(1))
print(worker._process.pid, flush=True)
worker.ask(TimeInference(1))
print("again", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", program, str(bundle.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        status = Path(f"/proc/{int(bench.stdout.readline())}/status")
        assert bench.stdout.readline() == "again\n", "it goes on when it is asked"
        time.sleep(0.3)
        state = next(line for line in status.read_text().splitlines() if "State" in line)
        bench.kill()
    end = time.monotonic() + 5
    while status.exists() and time.monotonic() < end:
        time.sleep(0.05)

    assert "T (stopped)" in state
    assert not status.exists() or "Z (zombie)" in status.read_text()


def test_an_order_that_fails_says_why(bundle: ModelBundle, tmp_path: Path) -> None:
    (contender,) = contenders_of([bundle.folder], None, [1], [1])
    worker = Worker(contender, 20)
    assert 20 < worker.ask(PeakMemory()) < 500
    with pytest.raises(WorkerError, match="No such file"):
        worker.ask(Answer(tmp_path / "none.npy", tmp_path / "out.npy"))
    worker.close()


def test_energy_is_told_for_one_inference(bundle: ModelBundle) -> None:
    """A meter that counts a joule a second."""
    contenders = contenders_of([bundle.folder], None, [1], [1])
    meter = EnergyMeter("a clock", time.monotonic, float("inf"))
    (timing,) = measure(contenders, QUICK, lambda text: None, Event(), meter)

    assert timing.joules is not None
    count = len(timing.rounds[0])
    # A slice, and what it takes to ask for it, is as many inferences and one more.
    slices = sorted(sum(samples) for samples in timing.rounds)
    assert slices[0] / (count + 1) < timing.joules < (slices[-1] + 0.05) / (count + 1) * 2


def test_the_reference_is_one_that_got_through_its_warm_up(
    with_engines: Callable[..., ModelBundle],
) -> None:
    bundle = with_engines("soon", "onnx")
    soon, onnx = run(contenders_of([bundle.folder], None, [1], [1]))

    assert soon.problem is not None and soon.rounds == []
    assert onnx.reference == onnx.rounds != []


def test_where_all_fail_it_is_over(with_engines: Callable[..., ModelBundle]) -> None:
    bundle = with_engines("crashes", "soon")
    start = time.monotonic()
    timings = run(
        contenders_of([bundle.folder], None, [1], [1]), Plan(**{**vars(QUICK), "seconds": 600.0})
    )

    assert all(timing.problem for timing in timings)
    assert time.monotonic() - start < 60


def test_what_is_measured_is_kept_part_by_part(bundle: ModelBundle) -> None:
    kept: list[int] = []
    contenders = contenders_of([bundle.folder], None, [1, 2, 3], [1])
    plan = Plan(**{**vars(QUICK), "at_once": 2, "cold_starts": 0})
    measure(
        contenders, plan, lambda text: None, Event(),
        keep=lambda timings: kept.append(sum(bool(timing.rounds) for timing in timings)),
    )  # fmt: skip

    assert kept == [2, 3]


def test_one_that_hangs_up_and_lives_on_is_not_waited_for(
    with_engines: Callable[..., ModelBundle],
) -> None:
    bundle = with_engines("lingers", "onnx")
    start = time.monotonic()
    lingers, onnx = run(contenders_of([bundle.folder], None, [1], [1]))

    assert lingers.problem is not None
    assert onnx.rounds
    assert time.monotonic() - start < 40
