"""A compression that was cut off or found no space goes on from the last stage that was done."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import little_space
from typer.testing import CliRunner, Result

from birdedge.compress import subject
from birdedge.compress.commands import compress
from birdedge.compress.exporters.onnx import OnnxExporter
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.golden import self_test

STAGES = ("exporting to onnx", "quantizing for onnx-int8", "verifying on 18 validation photos",
          "verifying on 24 test photos", "packaging")  # fmt: skip
"""What is said of each as it begins."""


FOR_INT8 = ("--calibration-photos", "12", "--min-agreement", "80")


def run(trained, out: Path, targets: str = "onnx-fp32,onnx-int8") -> Result:
    return CliRunner().invoke(
        compress,
        [str(trained.path), "-o", str(out), "--targets", targets, "--max-drop", "20",
         *(FOR_INT8 if "int8" in targets else ()), "--json"],
    )  # fmt: skip


def begun(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line in STAGES]


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ctrl-C in the midst of a stage, by its place in `STAGES`."""

    def at(place: int) -> None:
        ask, asked = subject.answers, []

        def interrupted_answers(network, targets, *rest):
            if targets:
                asked.append(targets)
            if len(asked) == place - 1:
                interrupt()
            return ask(network, targets, *rest)

        if place == 0:
            monkeypatch.setattr(OnnxExporter, "export", interrupt)
        elif place == 1:
            monkeypatch.setattr("birdedge.compress.make.quantize_within", interrupt)
        elif place in (2, 3):
            monkeypatch.setattr(subject, "answers", interrupted_answers)
        else:
            monkeypatch.setattr("birdedge.compress.compress.package", interrupt)

    return at


@pytest.mark.parametrize("place", range(len(STAGES)))
def test_a_compression_goes_on_from_the_stage_that_was_interrupted(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_off, place: int
) -> None:
    out = tmp_path / "bundle"
    cut_off(place)
    first = run(trained, out)
    assert first.exit_code == 130
    assert begun(first) == [*STAGES[: place + 1]]
    assert ("goes on from here" in first.stderr) is (place > 0)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.work"]

    monkeypatch.undo()
    second = run(trained, out)
    assert second.exit_code == 0, second.stderr
    assert begun(second) == [*STAGES[place:]]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    whole = run(trained, tmp_path / "other")
    assert json.loads(second.stdout)["targets"] == json.loads(whole.stdout)["targets"]


def test_a_compression_that_is_killed_leaves_no_half_bundle(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts = []

    def killed(draft: Path, _: object) -> None:
        drafts.extend(path for path in tmp_path.iterdir() if path.suffix != ".work")
        assert draft.parent in drafts
        os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("birdedge.compress.package.write_manifest", killed)
    result = run(trained, tmp_path / "bundle", "onnx-fp32")

    assert result.exit_code == 130
    assert drafts
    assert "goes on from here" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.work"]
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.mark.parametrize("target", ["onnx-int8", "openvino-int8", "tflite-int8", "ncnn-fp32"])
def test_a_disk_that_is_full_is_named_and_nothing_half_is_taken_for_whole(
    trained, tmp_path: Path, target: str
) -> None:
    out = tmp_path / "bundle"
    with little_space():
        result = run(trained, out, target)

    assert result.exit_code == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("birdedge: "))
    assert str(out) in line
    assert "File too large" in line
    assert not out.exists()

    result = run(trained, out, target)
    assert result.exit_code == 0, result.stderr
    assert self_test(ModelBundle.load(out), target, threads=2).passed
