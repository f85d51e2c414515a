"""The steps of a compression one by one, from files to files."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer
import wandb
from disks import little_space
from typer.testing import CliRunner, Result

from birdedge.compress.commands import compress
from birdedge.compress.exporters.onnx import OnnxExporter
from birdedge.compress.shrink_commands import prune
from birdedge.compress.step_commands import export, package, quantize, verify
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.golden import self_test
from birdedge.train.checkpoint import save_checkpoint

LOOSE = ("--max-drop", "20", "--min-agreement", "80")
FEW = ("--calibration-photos", "12")


def call(command: typer.Typer, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def ruin(trained, folder: Path) -> Path:
    """A float target that says the same of nearly every photo."""
    assert call(export, trained.path, "-o", folder).exit_code == 0
    (file,) = folder.glob("*.onnx")
    model = onnx.load(file)
    for tensor in model.graph.initializer:
        if tensor.name.endswith("classifier.bias"):
            values = np.array([9, 0, 0], dtype=np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, file)
    return folder


@pytest.fixture(scope="module")
def steps(trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both ONNX targets."""
    folder = tmp_path_factory.mktemp("steps")
    exported = call(export, trained.path, "-o", folder / "onnx-fp32")
    assert exported.exit_code == 0, exported.output
    made = call(
        quantize, trained.path, folder / "onnx-fp32", "-o", folder / "onnx-int8", *FEW, *LOOSE
    )
    assert made.exit_code == 0, made.output
    return folder


def test_export_says_what_the_network_was_and_is(trained, tmp_path: Path) -> None:
    first = call(export, trained.path, "-o", tmp_path / "e", "--target", "tflite-fp32", "--json")
    assert first.exit_code == 0, first.output
    made = json.loads(first.stdout)
    assert (made["target"], made["wrong"]) == ("tflite-fp32", None)
    before, after = made["stages"]["torch"], made["stages"]["tflite-fp32"]
    assert before["macs"] == after["macs"] > 0
    assert after["top1"] == before["top1"]
    assert after["agreement"] == 1
    (file,) = (tmp_path / "e").glob("*.tflite")
    assert after["megabytes"] == file.stat().st_size / 1e6
    assert "tflite-fp32" in first.stderr  # the table

    changed = file.stat().st_mtime_ns
    again = call(export, trained.path, "-o", tmp_path / "e", "--target", "tflite-fp32")
    assert again.exit_code == 0
    assert again.stdout == f"{tmp_path / 'e'}\n"
    assert "exporting" not in again.stderr
    assert file.stat().st_mtime_ns == changed


def test_quantize_says_what_the_float_target_was(trained, steps: Path, tmp_path: Path) -> None:
    made = call(
        quantize, trained.path, steps / "onnx-fp32", "-o", tmp_path / "q", *FEW, *LOOSE, "--json"
    )
    assert made.exit_code == 0, made.output
    figures = json.loads(made.stdout)["stages"]
    assert list(figures) == ["torch", "onnx-fp32", "onnx-int8"]
    assert figures["onnx-int8"]["megabytes"] < figures["onnx-fp32"]["megabytes"]


def test_the_steps_come_to_what_compress_makes_at_once(
    trained, steps: Path, tmp_path: Path
) -> None:
    targets = (steps / "onnx-fp32", steps / "onnx-int8")
    asked = call(verify, trained.path, *targets, "--work", tmp_path / "asked", *LOOSE, "--json")
    assert asked.exit_code == 0, asked.output
    packed = call(
        package, trained.path, *targets, "-o", tmp_path / "b", "--work", tmp_path / "asked", *LOOSE,
        "--json",
    )  # fmt: skip
    assert packed.exit_code == 0, packed.output
    network = json.loads(asked.stdout)["network"]
    assert network["macs"] > network["parameters"] > 0
    assert network["val"]["agreement"] == 1
    assert "verifying" in asked.stderr
    assert "verifying" not in packed.stderr
    whole = call(compress, trained.path, "-o", tmp_path / "whole", *FEW, *LOOSE, "--json")

    made, by_compress = json.loads(packed.stdout), json.loads(whole.stdout)
    assert json.loads(asked.stdout)["targets"] == made["targets"] == by_compress["targets"]
    assert made["id"] == by_compress["id"]
    bundle = ModelBundle.load(tmp_path / "b")
    assert all(self_test(bundle, name, threads=2).passed for name in ("onnx-fp32", "onnx-int8"))
    how = bundle.manifest.provenance["compression"]
    assert how["calibration"] == {"onnx-int8": {"photos": 12, "method": "minmax"}}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked", "b", "whole"]


def test_compress_goes_on_from_steps_that_were_taken_alone(
    trained, steps: Path, tmp_path: Path
) -> None:
    out = tmp_path / "b"
    result = call(compress, trained.path, "-o", out, "--work", steps, *FEW, *LOOSE)
    assert result.exit_code == 0, result.output
    assert "exporting" not in result.stderr
    assert "quantizing" not in result.stderr


def test_a_bundle_of_steps_leaves_nothing_beside_it(trained, steps: Path, tmp_path: Path) -> None:
    result = call(package, trained.path, steps / "onnx-fp32", "-o", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'b'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    again = call(package, trained.path, steps / "onnx-fp32", "-o", tmp_path / "b")
    assert again.exit_code == 1
    assert "use --force" in again.stderr


def test_what_lies_beside_a_bundle_stays(trained, steps: Path, tmp_path: Path) -> None:
    """As the network that a compression of the same name trained."""
    trained_before = tmp_path / "b.work" / "recovered"
    trained_before.mkdir(parents=True)
    for name in ("inputs.json", "result.json", "checkpoint.safetensors"):
        (trained_before / name).write_text("{}")
    result = call(package, trained.path, steps / "onnx-fp32", "-o", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "b.work").iterdir()] == ["recovered"]
    assert len([*trained_before.iterdir()]) == 3


def test_what_is_no_target_is_passed_over(trained, steps: Path, tmp_path: Path) -> None:
    """So that a folder of steps may be given with an asterisk."""
    (tmp_path / "my-model").mkdir()
    for name in ("answers-test", "tflite-fp32.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "inputs.json").write_text('{"asked": "others"}')
    beside = sorted(tmp_path.iterdir())
    result = call(verify, trained.path, *beside, steps / "onnx-fp32")
    assert result.exit_code == 0, result.output
    assert "answers-test is passed over: it holds no target" in result.stderr
    assert "was interrupted" in result.stderr
    alone = call(verify, trained.path, *beside)
    assert alone.exit_code == 1
    assert "there is no target" in alone.stderr


def test_nothing_is_written_into_what_is_read(trained, steps: Path, tmp_path: Path) -> None:
    source = tmp_path / "s"
    assert call(export, trained.path, "-o", source).exit_code == 0
    for command, option, arguments in (
        (quantize, "--out", (trained.path, source, "-o", source, "--force")),
        (quantize, "--out", (trained.path, source, "-o", source / "inner")),
        (package, "--out", (trained.path, source, "-o", source / "inner")),
        (verify, "--work", (trained.path, source, "--work", source)),
    ):
        result = call(command, *arguments)
        assert result.exit_code == 1
        assert f"choose another {option}" in result.stderr
    assert call(verify, trained.path, source).exit_code == 0


@pytest.mark.parametrize("name", ["recovered", "recovered.partial"])
@pytest.mark.parametrize("inputs", ['{"start": "1234"}', "[1, 2]"])
def test_what_is_no_target_is_not_replaced(trained, tmp_path: Path, name: str, inputs: str) -> None:
    stage = tmp_path / name
    stage.mkdir()
    (stage / "inputs.json").write_text(inputs)
    (stage / "last.ckpt").write_text("hours of training")
    result = call(export, trained.path, "-o", tmp_path / "recovered", "--force")
    assert result.exit_code == 1
    assert f"birdedge: {stage} is " in result.stderr
    assert (stage / "last.ckpt").read_text() == "hours of training"


def test_the_folder_one_is_in_is_not_replaced(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(export, trained.path, "-o", ".")
    assert result.exit_code == 1
    assert "birdedge: . is the folder that this runs in; choose another --out" in result.stderr


def test_a_float_target_that_strays_is_not_quantized(trained, tmp_path: Path) -> None:
    ruined = ruin(trained, tmp_path / "ruined")
    result = call(quantize, trained.path, ruined, "-o", tmp_path / "q", *FEW)
    assert result.exit_code == 1
    assert "birdedge: onnx-fp32 itself loses" in result.stderr
    assert not (tmp_path / "q").exists()


def test_an_int8_target_that_strays_is_said_to_with_what_was_tried(
    trained, steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "birdedge.compress.tolerance.Tolerance.broken_by",
        lambda self, name, *_: "is never good enough" if name == "onnx-int8" else None,
    )
    result = call(quantize, trained.path, steps / "onnx-fp32", "-o", tmp_path / "q", *FEW, "--json")
    assert result.exit_code == 1
    made = json.loads(result.stdout)
    assert (
        made["wrong"] == f"is never good enough even with {len(made['in_float'])} layers in float"
    )
    assert made["in_float"]
    assert "onnx-int8 is never good enough" in result.stderr
    assert "try another --calibration" in result.stderr


@pytest.mark.parametrize("step", ["export", "quantize", "package"])
def test_a_disk_that_is_full_is_named(trained, steps: Path, tmp_path: Path, step: str) -> None:
    command, arguments = {
        "export": (export, ()),
        "quantize": (quantize, (steps / "onnx-fp32", *FEW, *LOOSE)),
        "package": (package, (steps / "onnx-fp32",)),
    }[step]
    out = tmp_path / "o"
    with little_space():
        result = call(command, trained.path, *arguments, "-o", out)
    assert result.exit_code == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("birdedge: "))
    assert "File too large" in line
    assert not out.exists()
    assert call(command, trained.path, *arguments, "-o", out).exit_code == 0


def test_a_path_is_no_markup(trained, steps: Path, tmp_path: Path) -> None:
    odd = tmp_path / "m[" / "b]"
    odd.mkdir(parents=True)
    checkpoint = odd / "c.safetensors"
    checkpoint.write_bytes(trained.path.read_bytes())
    result = call(verify, checkpoint, steps / "onnx-fp32")
    assert result.exit_code == 0, result.output


def test_mirrored_steps_make_a_mirrored_bundle(trained, steps: Path, tmp_path: Path) -> None:
    mirrored = tmp_path / "mirrored"
    assert call(export, trained.path, "-o", mirrored, "--mirror").exit_code == 0
    result = call(package, trained.path, mirrored, "-o", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert ModelBundle.load(tmp_path / "b").manifest.id.startswith("mobilenetv2_035-mirrored-")
    plain = steps / "onnx-int8"
    mixed = call(verify, trained.path, mirrored, plain)
    assert mixed.exit_code == 1
    assert "some of these targets are mirrored and others are not" in mixed.stderr


@pytest.fixture
def other(trained, tmp_path: Path) -> Path:
    """A checkpoint of the same network that learned from all photos."""
    provenance = trained.info.provenance
    data = provenance.config["data"] | {"val_fraction": 0}
    provenance = provenance.model_copy(update={"config": provenance.config | {"data": data}})
    path = tmp_path / "all.safetensors"
    save_checkpoint(
        path, trained.network, trained.info.model_copy(update={"provenance": provenance})
    )
    return path


def test_without_photos_held_out_a_network_is_exported_and_no_more(
    other: Path, tmp_path: Path
) -> None:
    exported = call(export, other, "-o", tmp_path / "e")
    assert exported.exit_code == 0, exported.output
    assert "not measured: no photos were held out from training" in exported.stderr
    for result in (
        call(quantize, other, tmp_path / "e", "-o", tmp_path / "q"),
        call(verify, other, tmp_path / "e"),
        call(package, other, tmp_path / "e", "-o", tmp_path / "b"),
    ):
        assert result.exit_code == 1
        assert "learned from all photos" in result.stderr
    assert not (tmp_path / "q").exists()
    assert not (tmp_path / "b").exists()


def test_what_does_not_belong_together_is_refused(
    trained, other: Path, steps: Path, tmp_path: Path
) -> None:
    floating, int8 = steps / "onnx-fp32", steps / "onnx-int8"
    cases = {
        "was not made from": call(verify, other, floating),
        "is no target of `birdedge export`": call(verify, trained.path, trained.photos),
        "holds onnx-fp32, as another folder does": call(verify, trained.path, floating, floating),
        "has no INT8 version": call(quantize, trained.path, int8, "-o", tmp_path / "q"),
        "choose another --out, or use --force": call(export, trained.path, "-o", int8),
    }
    for why, result in cases.items():
        assert result.exit_code == 1, why
        (line,) = result.stderr.splitlines()
        assert line.startswith("birdedge: ") and why in line
    assert not (tmp_path / "q").exists()


def test_a_target_that_was_cut_short_is_none(trained, tmp_path: Path) -> None:
    assert call(export, trained.path, "-o", tmp_path / "e").exit_code == 0
    (file,) = (tmp_path / "e").glob("*.onnx")
    file.write_bytes(file.read_bytes()[:-100])
    result = call(verify, trained.path, tmp_path / "e")
    assert result.exit_code == 1
    assert "is no target of" in result.stderr


def test_another_target_takes_the_place_of_one_only_when_it_is_told_to(
    trained, steps: Path, tmp_path: Path
) -> None:
    made = (quantize, trained.path, steps / "onnx-fp32", "-o", tmp_path / "q", *LOOSE)
    assert call(*made, *FEW).exit_code == 0
    (file,) = (tmp_path / "q").glob("*.onnx")
    before = file.read_bytes()
    refused = call(*made, "--calibration-photos", 6)
    assert refused.exit_code == 1
    assert "was not made like that" in refused.stderr
    assert file.read_bytes() == before
    assert call(*made, "--calibration-photos", 6, "--force").exit_code == 0
    assert file.read_bytes() != before


def test_a_target_that_strays_is_said_to_and_enters_no_bundle(trained, tmp_path: Path) -> None:
    ruined = ruin(trained, tmp_path / "ruined")
    result = call(verify, trained.path, ruined, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["refused"].keys() == {"onnx-fp32"}
    assert "onnx-fp32 loses" in result.stderr
    left = call(package, trained.path, ruined, "-o", tmp_path / "b")
    assert left.exit_code == 1
    assert not (tmp_path / "b").exists()


def test_an_export_that_is_interrupted_leaves_no_target(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(OnnxExporter, "export", interrupt)
    assert call(export, trained.path, "-o", tmp_path / "e").exit_code == 130
    assert not (tmp_path / "e").exists()
    monkeypatch.undo()
    assert call(export, trained.path, "-o", tmp_path / "e").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["e"]


def test_a_package_that_is_interrupted_goes_on(
    trained, steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("birdedge.compress.compress.package", interrupt)
    arguments = (package, trained.path, steps / "onnx-fp32", "-o", tmp_path / "b")
    stopped = call(*arguments)
    assert stopped.exit_code == 130
    assert "the same command goes on from here" in stopped.stderr
    monkeypatch.undo()
    again = call(*arguments)
    assert again.exit_code == 0
    assert "verifying" not in again.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_figures_are_recorded_by_wandb_when_it_is_on(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    on = ("--wandb", "offline")
    assert call(prune, trained.path, "-o", "p.safetensors", "--macs", "0.7", *on).exit_code == 0
    assert call(export, trained.path, "-o", "onnx", *on).exit_code == 0
    assert call(package, trained.path, "onnx", "-o", "b", *on).exit_code == 0
    wandb.teardown()  # another process writes the file, and a run's end does not wait for it

    records = [path.read_bytes() for path in sorted(Path("wandb").glob("offline-run-*/*.wandb"))]
    assert len(records) == 3
    for word in (b"as trained", b"onnx-fp32", ModelBundle.load(Path("b")).manifest.id.encode()):
        assert any(word in record for record in records)
