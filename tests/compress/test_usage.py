"""What `birdedge prune` and `compress` refuse before any work."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from birdedge.compress.commands import compress
from birdedge.compress.shrink_commands import prune


@pytest.mark.parametrize(
    "goal", [[], ["--macs", "0.5", "--latency", "3"], ["--macs", "1.5"], ["--importance", "luck"]]
)
def test_a_goal_that_makes_no_sense_is_wrong_usage(goal: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(prune, ["x.safetensors", "-o", str(tmp_path / "y"), *goal])
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--macs", "nan"], "Invalid value for '--macs'"),
        (["--max-drop", "nan"], "Invalid value for '--max-drop'"),
        (["--scope", "global"], "--scope goes with --macs or --latency"),
        (["--round-to", "4"], "--round-to goes with --macs or --latency"),
        (["--recover", "trainer.epochs=1"], "--recover goes with --macs, --latency or"),
        (["--macs", "0.5", "--on", "tflite-int8"], "--on goes with --latency"),
        (["--macs", "0.5", "--steps", "2"], "--steps goes with --importance taylor"),
        (["--targets", "onnx-fp32", "--calibration", "entropy"], "--calibration goes with INT8"),
        (["--targets", "onnx-fp32", "--min-agreement", "9"], "--min-agreement goes with INT8"),
        (
            ["--targets", "onnx-fp32", "--quantization-aware", "2"],
            "--quantization-aware goes with INT8 targets",
        ),
        (["--latency", "9", "--on", "tflite-int8"], "is not among --targets"),
        (["--latency", "9", "--macs", "0.5"], "either --macs or --latency"),
    ],
)
def test_options_that_would_do_nothing_are_wrong_usage(
    options: list[str], said: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(
        compress, ["x.safetensors", "-o", str(tmp_path / "bundle"), *options], terminal_width=200
    )
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("option", [["--on", "tflite-int8"], ["--steps", "2"]])
def test_options_that_would_do_nothing_are_wrong_usage_of_prune_too(
    option: list[str], tmp_path: Path
) -> None:
    arguments = ["x.safetensors", "-o", str(tmp_path / "y"), "--macs", "0.5", *option]
    result = CliRunner().invoke(prune, arguments, terminal_width=200)
    assert result.exit_code == 2
    assert f"{option[0]} goes with" in result.stderr


@pytest.mark.parametrize("goal", [[], ["--macs", "0.5"]])
@pytest.mark.parametrize("out", [".", "/"])
def test_a_folder_that_is_there_is_refused_whatever_it_is_called(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, goal: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(compress, [str(trained.path), "-o", out, *goal])

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.endswith(
        f"{Path(out).resolve()} exists already; choose another --out, or use --force"
    )
