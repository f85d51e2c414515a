"""The target for this machine, with reasons; `--target auto` then takes it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from birdedge.benchmarks.accuracy import Accuracy, Answers, score
from birdedge.benchmarks.recommend import recommend, take
from birdedge.benchmarks.results import Report, Row
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier

MakeRow = Callable[..., Row]
MakeReport = Callable[..., Report]


@pytest.fixture
def right(bundle: ModelBundle) -> Callable[[int], Accuracy]:
    """Figures of a target that is right on so many of a thousand photos."""

    def make(count: int) -> Accuracy:
        truth = np.arange(1000) % 3
        logits = np.eye(3, dtype=np.float32)[np.where(np.arange(1000) < count, truth, truth - 1)]
        figures = score(Answers(bundle.manifest, logits, truth), None)
        assert figures is not None
        return figures

    return make


@pytest.fixture
def report(row_of: MakeRow, report_of: MakeReport, right: Callable[[int], Accuracy]) -> Report:
    return report_of(
        row_of("fp32", 80, accuracy=right(960)),
        row_of("fp16", 40, accuracy=right(957)),
        row_of("int8", 20, accuracy=right(930)),
        row_of("fp32", 10, runner="bare onnx"),
        row_of("tpu", None, problem="this needs a TPU"),
    )


def test_the_fastest_that_loses_little_is_taken(report: Report) -> None:
    choice = recommend(report, max_drop=0.5, latency_ms=None)

    assert choice.row is not None and choice.row.target == "fp16"
    assert choice.reasons == (
        "colours fp16 with 1 thread: 41.7 ms, 95.7% right (0.3 points below the best)",
        "not colours int8 with 1 thread: 3.0 points less accurate than the best, 0.5 allowed",
        "not colours tpu with 1 thread: this needs a TPU",
    )


def test_more_drop_allows_a_faster_one_and_less_time_none(report: Report) -> None:
    faster = recommend(report, max_drop=3.0, latency_ms=None).row
    none = recommend(report, max_drop=0.5, latency_ms=30)

    assert faster is not None and faster.target == "int8"
    assert none.row is None
    assert any("one inference in twenty takes over 43 ms, 30 allowed" in r for r in none.reasons)


def test_without_accuracies_speed_alone_decides_and_that_is_said(
    row_of: MakeRow, report_of: MakeReport
) -> None:
    choice = recommend(report_of(row_of("a", 20), row_of("b", 10)), 0.5, None)

    assert choice.row is not None and choice.row.target == "b"
    assert choice.reasons[0].endswith("judged by speed alone")


def test_one_that_crashed_is_not_taken_however_fast_it_was(
    row_of: MakeRow, report_of: MakeReport
) -> None:
    crashed = row_of("b", 1, problem="killed by signal 6")
    choice = recommend(report_of(row_of("a", 20), crashed), 0.5, None)

    assert choice.row is not None and choice.row.target == "a"
    assert "not colours b with 1 thread: killed by signal 6" in choice.reasons


def test_models_are_held_against_each_other_where_both_know_the_species(
    row_of: MakeRow, report_of: MakeReport, right: Callable[[int], Accuracy]
) -> None:
    """One that knows few species, and those well, is not better than one that knows all."""
    ours = right(900)
    few = right(1000)
    few = few.model_copy(update={"right": "-" * 960 + "1" * 38 + "0" * 2})
    ours = ours.model_copy(update={"right": "0" * 100 + "1" * 900})
    report = report_of(
        row_of("ours", 20, accuracy=ours), row_of("theirs", 40, model="other", accuracy=few)
    )
    choice = recommend(report, 0.5, None)

    assert choice.row is not None and choice.row.target == "ours"
    assert report.drop(report.rows[0]) == 0
    assert report.drop(report.rows[1]) == pytest.approx(5)


def test_one_that_is_as_fast_is_named(row_of: MakeRow, report_of: MakeReport) -> None:
    choice = recommend(report_of(row_of("a", 20.0), row_of("b", 20.1)), 0.5, None)

    assert choice.reasons == (
        "colours a with 1 thread: 20.8 ms, judged by speed alone; not surely faster than "
        "colours b with 1 thread",
    )


def test_auto_takes_what_was_recommended(
    with_engines: Callable[..., ModelBundle],
    row_of: MakeRow,
    report_of: MakeReport,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle = with_engines("onnx", "later")
    same = {"model": bundle.manifest.id}
    slower = [row_of("onnx", 30, **same), row_of("later", 20, **same)]
    two = [row.model_copy(update={"threads": 2}) for row in slower]
    faster = row_of("onnx", 10, threads=2, **same)

    assert take(report_of(*slower, faster, two[1]), [bundle.folder], 0.5, None) == [
        f"{bundle.manifest.id} later with 1 thread",
        f"{bundle.manifest.id} onnx with 2 threads",
    ]
    assert Classifier(bundle, threads=1).target == "later"
    assert Classifier(bundle, threads=2).target == "onnx"
