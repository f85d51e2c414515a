"""The page, opened in a real browser; the tables and files beside it."""

import csv
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from birdedge.benchmarks.accuracy import Answers, score
from birdedge.benchmarks.report.columns import details, notes_of, overview
from birdedge.benchmarks.report.page import as_page
from birdedge.benchmarks.report.plots import write_png
from birdedge.benchmarks.report.table import as_csv, as_markdown, put_into
from birdedge.benchmarks.results import ColdStart, Peak, Report, Row
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import DataError

MakeRow = Callable[..., Row]
MakeReport = Callable[..., Report]

NASTY = "<script>document.title='broken into'</script>"


@pytest.fixture
def report(row_of: MakeRow, report_of: MakeReport, bundle: ModelBundle) -> Report:
    """Two targets with every figure, a peer, and one that failed."""
    truth = np.arange(90) % 3
    good = np.eye(3, dtype=np.float32)[truth] * 8
    bad = good.copy()
    bad[:10] = np.roll(bad[:10], 1, axis=1)
    answers = [Answers(bundle.manifest, logits, truth) for logits in (good, bad)]
    start = ColdStart(interpreter=0.1, imports=0.4, load=0.2, first=0.1, total=0.8)
    worse = {kind: [0.95, 0.9, 0.7, 0.4] for kind in ("brightness", "blur")}
    fp32 = row_of("onnx-fp32", 50.0, accuracy=score(answers[0], None), cold_start=start)
    int8 = row_of("onnx-int8", 20.0, cold_start=start, share_of_peak=0.31, joules=0.0421)
    assert int8.latency is not None
    tool = {"tool": 15.0, "tool_name": "benchmark_app", "beside_tool": 18.2, "own": 19.5}
    int8 = int8.model_copy(
        update={
            "accuracy": score(answers[1], answers[0]),
            "robustness": worse,
            "latency": int8.latency.model_copy(update=tool),
        }
    )
    peer = row_of("onnx-int8", 21.0, runner="bare onnx")
    failed = row_of("tpu-int8", None, model=NASTY, problem="killed by signal 6")
    peaks = [Peak(engine="onnx", kind="int8", threads=1, gmacs=42.5)]
    return report_of(fp32, int8, peer, failed, photos="90 photos of <garden>", peaks=peaks)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Debian's chromium, steered by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no browser: Debian's package chromium is missing")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield chromium
        chromium.close()


@pytest.mark.slow
def test_every_plot_is_seen_in_a_browser(report: Report, tmp_path: Path, browser: Any) -> None:
    (tmp_path / "bench.html").write_text(as_page(report), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto((tmp_path / "bench.html").as_uri())

    assert asked == [(tmp_path / "bench.html").as_uri()], "it needs nothing else"
    assert said == []
    assert page.title() == "birdedge bench, 2026-05-01"
    headings = page.locator("h2").all_inner_texts()
    assert headings == [
        "Accuracy and latency", "Latency", "Cold start", "Memory", "Robustness",
        "Accuracy in detail", "Latency in detail", "What the machine can do at all",
    ]  # fmt: skip
    plots = page.locator("svg").all()
    assert len(plots) == 5
    for plot in plots:
        box = plot.bounding_box()
        assert box["width"] > 500 and box["height"] > 100
        assert box["x"] >= 0 and box["x"] + box["width"] <= 1200, "nothing is cut off"
        plot.screenshot(path=tmp_path / "plot.png")
        pixels = np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).astype(int)
        colourful = (pixels.max(axis=2) - pixels.min(axis=2)) > 60
        assert colourful.mean() > 0.0005, "it shows more than its axes"
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert Image.open(tmp_path / "page.png").height > 1500


def test_what_manifests_say_is_text_and_never_markup(report: Report) -> None:
    page = as_page(report)

    assert NASTY not in page
    assert "&lt;script&gt;" in page
    assert "90 photos of &lt;garden&gt;" in page
    assert "src=" not in page and 'href="http' not in page


def test_a_report_is_drawn_the_same_each_time(report: Report) -> None:
    assert as_page(report) == as_page(report)


def test_a_report_without_accuracies_or_anything_is_a_page_too(
    row_of: MakeRow, report_of: MakeReport, tmp_path: Path
) -> None:
    fast = as_page(report_of(row_of("onnx-int8", 20.0)))
    nothing = report_of(row_of("onnx-int8", None, problem="killed by signal 6"))

    assert "Latency" in fast and "Robustness" not in fast
    assert "killed by signal 6" in as_page(nothing)
    write_png(nothing, tmp_path / "none.png")


def test_the_overview_has_what_was_measured_and_no_more(report: Report) -> None:
    grid = overview(report)
    fp32, int8, peer, failed = (dict(zip(grid.head, row, strict=True)) for row in grid.rows)

    assert "top-5" in grid.head and "batch" not in grid.head
    assert fp32["top-1"] == "100.0% [95.9, 100.0]"
    assert int8["drop"] == "-11.1"
    assert int8["p50 ms"].startswith("20.8 [20.")
    assert int8["agreement"] == "88.9%"
    assert (int8["of limit"], int8["mJ"], fp32["of limit"]) == ("31%", "42", "-")
    assert (peer["target"], peer["top-1"]) == ("onnx-int8 (bare onnx)", "-")
    assert failed["p50 ms"] == "-"
    assert grid.peers == [False, False, True, False]
    accuracy, latency = details(report)
    assert dict(zip(accuracy.head, accuracy.rows[1], strict=True))["lost"] == "10"
    assert dict(zip(latency.head, latency.rows[1], strict=True))["tool"] == "benchmark_app"


def test_failures_and_doubts_are_noted(report: Report) -> None:
    notes = notes_of(report.model_copy(update={"interrupted": True}))

    assert f"{NASTY} tpu-int8 with 1 thread: killed by signal 6" in notes
    assert "WARNING: this run was ended before it was done" in notes
    found = "WARNING: colours onnx-int8 with 1 thread: benchmark_app finds 15.0 ms, not 18.2"
    assert found in notes
    assert not [note for note in notes_of(report, peers=False) if "benchmark_app" in note]


def test_a_tool_is_compared_with_what_is_measured_beside_it(report: Report) -> None:
    int8 = report.rows[1]
    assert int8.latency is not None
    slowed = int8.latency.model_copy(update={"beside_tool": 15.5})
    notes = notes_of(report.model_copy(update={
        "rows": [int8.model_copy(update={"latency": slowed})]
    }))  # fmt: skip

    assert not [note for note in notes if "benchmark_app" in note]


def test_csv_has_every_figure_in_a_column_of_its_own(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(report))))

    assert [row["target"] for row in rows] == [row.target for row in report.rows]
    assert float(rows[1]["latency.p50.value"]) == pytest.approx(20.8, abs=0.1)
    assert rows[1]["robustness.blur.3"] == "0.4"
    assert float(rows[1]["accuracy.agreement.low"]) > 0.7
    assert rows[3]["latency.p50.value"] == ""
    assert rows[3]["problem"] == "killed by signal 6"


def test_markdown_is_put_between_its_marks(report: Report, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Before\n<!-- bench -->\nold\n<!-- /bench -->\nAfter\n")
    text = as_markdown(report)
    put_into(readme, text)
    once = readme.read_text()
    put_into(readme, text)

    assert once == f"# Before\n<!-- bench -->\n{text}<!-- /bench -->\nAfter\n"
    assert readme.read_text() == once
    readme.write_text("no marks")
    with pytest.raises(DataError, match="has no lines <!-- bench -->"):
        put_into(readme, text)
    with pytest.raises(DataError, match="No such file"):
        put_into(tmp_path / "none.md", text)
