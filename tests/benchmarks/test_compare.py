"""Two runs: what surely became worse is a regression, and what may be chance is none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from birdedge.benchmarks.accuracy import Accuracy, Answers, score
from birdedge.benchmarks.compare import compare, warnings
from birdedge.benchmarks.results import Peak, Report, Row, read_report, write_report
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import DataError

MakeRow = Callable[..., Row]
MakeReport = Callable[..., Report]


@pytest.fixture
def accuracy(bundle: ModelBundle) -> Callable[..., Accuracy]:
    """Figures of a target that is wrong on these of three hundred photos."""

    def make(wrong: range = range(0), photos: int = 300) -> Accuracy:
        truth = np.arange(photos) % 3
        logits = np.eye(3, dtype=np.float32)[(truth + np.isin(np.arange(photos), wrong)) % 3]
        figures = score(Answers(bundle.manifest, logits, truth), None)
        assert figures is not None
        return figures

    return make


@pytest.mark.parametrize(
    ("milliseconds", "slower"), [(20.0, False), (20.5, False), (22.5, True), (10.0, False)]
)
def test_slower_is_what_is_surely_beyond_the_budget(
    row_of: MakeRow, report_of: MakeReport, milliseconds: float, slower: bool
) -> None:
    (change,) = compare(
        report_of(row_of("a", 20.0)), report_of(row_of("a", milliseconds)), 0.05, 0.5
    )

    assert change.slower is not None
    assert change.slower.value == pytest.approx(milliseconds / 20)
    assert change.too_slow == change.is_regression == slower


def test_a_noisy_run_proves_nothing(row_of: MakeRow, report_of: MakeReport) -> None:
    old, new = report_of(row_of("a", 20.0, noise=0.2)), report_of(row_of("a", 22.0, noise=0.2))
    (change,) = compare(old, new, 0.05, 0.5)

    assert change.slower is not None and change.slower.value == pytest.approx(1.1)
    assert not change.too_slow


def test_fewer_right_answers_are_a_regression_unless_by_chance(
    row_of: MakeRow, report_of: MakeReport, accuracy: Callable[..., Accuracy]
) -> None:
    def report(wrong: range) -> Report:
        return report_of(row_of("a", 20.0, accuracy=accuracy(wrong)), photos_digest="same")

    (few,) = compare(report(range(0)), report(range(4)), 0.05, 0.5)
    (many,) = compare(report(range(0)), report(range(9)), 0.05, 0.5)
    (allowed,) = compare(report(range(0)), report(range(9)), 0.05, 4)

    assert few.points == pytest.approx(-4 / 3)
    assert few.chance == pytest.approx(0.125) and not few.is_regression
    assert many.points == pytest.approx(-3) and many.less_right
    assert many.chance == pytest.approx(2 / 2**9)
    assert not allowed.is_regression


def test_one_that_is_gone_or_failed_is_a_regression(row_of: MakeRow, report_of: MakeReport) -> None:
    old = report_of(row_of("a", 20.0), row_of("b", 20.0))
    changes = compare(old, report_of(row_of("a", None, problem="it crashed")), 0.05, 0.5)

    assert [change.lost for change in changes] == ["it crashed", "it did not take part"]
    assert all(change.is_regression for change in changes)


def test_what_is_there_to_be_compared_with_may_change(
    row_of: MakeRow, report_of: MakeReport
) -> None:
    old = report_of(row_of("a", 20.0), row_of("a", 20.0, runner="bare onnx"))
    slower, gone = (
        compare(old, report_of(row_of("a", 20.0), *peers), 0.05, 0.5)
        for peers in ([row_of("a", 40.0, runner="bare onnx")], [])
    )

    assert slower[1].too_slow and gone[1].lost == "it did not take part"
    assert not any(change.is_regression for change in (*slower, *gone))


def test_what_was_wrong_before_is_no_regression(row_of: MakeRow, report_of: MakeReport) -> None:
    report = report_of(row_of("a", 20.0, problem="it knows none of the species in photos"))
    (change,) = compare(report, report, 0.05, 0.5)

    assert change.slower is not None and not change.is_regression


def test_runs_of_other_models_are_not_compared(row_of: MakeRow, report_of: MakeReport) -> None:
    with pytest.raises(DataError, match="no contender in common"):
        compare(report_of(row_of("a", 20.0)), report_of(row_of("b", 20.0)), 0.05, 0.5)


def test_one_that_did_not_end_is_a_regression_and_a_new_one_none(
    row_of: MakeRow, report_of: MakeReport
) -> None:
    half = row_of("a", 10.0, problem="killed by signal 6")
    (change,) = compare(
        report_of(row_of("a", 20.0)), report_of(half, row_of("new", 5.0)), 0.05, 0.5
    )

    assert change.lost == "killed by signal 6" and change.is_regression


def test_an_accuracy_that_was_not_asked_for_is_not_missed(
    row_of: MakeRow, report_of: MakeReport, accuracy: Callable[..., Accuracy]
) -> None:
    old = report_of(row_of("a", 20.0, accuracy=accuracy()), photos="300 photos of a garden")
    fast = report_of(row_of("a", 20.0))
    failed = report_of(row_of("a", 20.0), photos="300 photos of a garden")
    (speed,), (both,) = compare(old, fast, 0.05, 0.5), compare(old, failed, 0.05, 0.5)

    assert speed.slower is not None and not speed.is_regression
    assert both.lost == "not measured"


def test_other_photos_are_no_pairs(
    row_of: MakeRow, report_of: MakeReport, accuracy: Callable[..., Accuracy]
) -> None:
    """Thirty and forty-five wrong of three hundred: Fisher's exact test says 0.083."""
    old = report_of(row_of("a", 20.0, accuracy=accuracy(range(30))), photos_digest="one")
    new = report_of(row_of("a", 20.0, accuracy=accuracy(range(45))), photos_digest="other")
    few = report_of(row_of("a", 20.0, accuracy=accuracy(range(1), 50)), photos_digest="few")
    (change,), (fewer,) = compare(old, new, 0.05, 0.5), compare(new, few, 0.05, 0.5)

    assert change.chance == pytest.approx(0.083, abs=0.001)
    assert not change.is_regression
    assert fewer.chance is not None and not fewer.is_regression


def test_what_else_changed_is_told(
    row_of: MakeRow, report_of: MakeReport, environment_of: Callable[..., object]
) -> None:
    old = report_of(row_of("a", 20.0), peaks=[Peak(engine="onnx", kind="fp32", threads=1, gmacs=9)])
    new = report_of(
        row_of("a", 20.0),
        environment=environment_of(processor="Raspberry Pi 4", packages={"onnxruntime": "2.0"}),
        photos="another set",
        peaks=[Peak(engine="onnx", kind="fp32", threads=1, gmacs=6)],
    )

    assert warnings(old, old) == []
    assert warnings(old, new) == [
        "the processor changed from Raspberry Pi 5 to Raspberry Pi 4",
        "the photos changed from none to another set",
        "onnxruntime changed from 1.32.0 to 2.0",
        "the machine itself does -33% (onnx fp32 matrix products, 1 threads)",
    ]


def test_a_report_is_read_as_it_was_written(
    row_of: MakeRow, report_of: MakeReport, accuracy: Callable[..., Accuracy], tmp_path: Path
) -> None:
    report = report_of(row_of("a", 20.0, accuracy=accuracy()), row_of("b", None, problem="no"))
    write_report(report, tmp_path / "bench.json")

    assert read_report(tmp_path / "bench.json") == report
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]
    # Samples of a round stand on one line.
    assert len((tmp_path / "bench.json").read_text().splitlines()) < 250


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        (b"", "JSON"),
        (b'{"rows": []}', "created: Field required"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_what_is_no_report_is_told(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "old.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_report(path)
