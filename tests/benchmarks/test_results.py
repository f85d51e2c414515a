"""What is published is what was measured."""

from pathlib import Path

from birdedge.benchmarks.report.table import as_markdown, put_into
from birdedge.benchmarks.results import read_report

REPOSITORY = Path(__file__).parents[2]
RESULTS = REPOSITORY / "docs" / "results" / "bench"


def test_the_readme_has_the_table_of_the_committed_report(tmp_path: Path) -> None:
    """`birdedge bench table docs/results/bench/bench.json --brief --into README.md`."""
    readme = tmp_path / "README.md"
    readme.write_text((REPOSITORY / "README.md").read_text())
    put_into(readme, as_markdown(read_report(RESULTS / "bench.json"), brief=True))

    assert readme.read_text() == (REPOSITORY / "README.md").read_text()


def test_the_report_is_whole() -> None:
    report = read_report(RESULTS / "bench.json")

    assert not report.interrupted
    assert (RESULTS / "bench.html").stat().st_size > 100_000
    assert (RESULTS / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert {row.target for row in report.rows if row.is_ours} >= {
        "onnx-fp32", "onnx-int8", "openvino-fp16", "openvino-int8", "tflite-fp32", "tflite-int8",
    }  # fmt: skip
    assert "/" not in report.photos
