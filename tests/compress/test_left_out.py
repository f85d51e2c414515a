"""A target that strays too far from its network is left out, and the others are not."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from birdedge.compress.commands import compress as command
from birdedge.compress.exporters import Exported
from birdedge.compress.make import Made
from birdedge.compress.quantizers.onnx import OnnxCalibrated
from birdedge.compress.subject import Subject
from birdedge.compress.verify import BackendRunner
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.golden import self_test
from birdedge.train.checkpoint import save_checkpoint


@pytest.fixture
def ruined_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    """INT8 versions that say the same of nearly every photo; but not of a twin."""
    written = OnnxCalibrated.write

    def ruin(self: OnnxCalibrated, folder: Path, in_float: Collection[str] = ()) -> Exported:
        source = self._source
        if "of-twin" in folder.parts:
            return written(self, folder, in_float)
        model = onnx.load(source.files[0])
        for tensor in model.graph.initializer:
            if tensor.name.endswith("classifier.bias"):
                values = np.array([9, 0, 0], dtype=np.float32)
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        onnx.save(model, folder / "ruined.onnx")
        return replace(source, files=(folder / "ruined.onnx",))

    monkeypatch.setattr(OnnxCalibrated, "write", ruin)


@pytest.mark.usefixtures("ruined_int8")
def test_a_target_that_loses_too_much_is_left_out_of_the_bundle(trained, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    arguments = [str(trained.path), "-o", str(out), "--calibration-photos", "12", "--json"]
    result = CliRunner().invoke(command, arguments)

    assert result.exit_code == 1
    assert re.search(
        r"onnx-int8 is left out: it loses .* more than --max-drop 0.5 even with 26 layers in float",
        result.stderr,
    )
    bundle = ModelBundle.load(out)
    assert bundle.manifest.targets.keys() == {"onnx-fp32"}
    assert self_test(bundle, "onnx-fp32", threads=2).passed
    assert json.loads(result.stdout)["refused"].keys() == {"onnx-int8"}
    assert "onnx-int8" in bundle.manifest.provenance["compression"]["refused"]


def test_a_target_that_disagrees_on_the_test_photos_alone_is_left_out(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Subject.answers

    def astray(self: Subject, made: Mapping[str, Made], photos: object, name: str):
        logits = ask(self, made, photos, name)
        if name == "test":
            logits["onnx-int8"] = np.roll(logits["onnx-int8"], 1, axis=1)
        return logits

    monkeypatch.setattr(Subject, "answers", astray)
    out = tmp_path / "bundle"
    arguments = [str(trained.path), "-o", str(out), "--calibration-photos", "12"]
    loose = ["--max-drop", "20", "--min-agreement", "80"]
    result = CliRunner().invoke(command, [*arguments, *loose])

    assert result.exit_code == 1
    told = r"onnx-int8 is left out: it gives the network's first answer to \d\.\d% of 24 photos"
    assert re.search(told, result.stderr)
    assert ModelBundle.load(out).manifest.targets.keys() == {"onnx-fp32"}


@pytest.mark.usefixtures("ruined_int8")
def test_a_bundle_of_which_no_target_is_left_is_not_written(trained, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    arguments = [str(trained.path), "-o", str(out), "--targets", "onnx-int8"]
    result = CliRunner().invoke(command, [*arguments, "--calibration-photos", "12"])

    assert result.exit_code == 1
    assert "birdedge: onnx-int8 loses" in result.stderr
    assert result.stderr.endswith(f"the stages that were done are kept in {out}.work\n")
    assert not out.exists()


@pytest.mark.usefixtures("ruined_int8")
def test_what_suits_a_twin_has_to_suit_the_network_itself(trained, tmp_path: Path) -> None:
    provenance = trained.info.provenance
    data = provenance.config["data"] | {"val_fraction": 0}
    provenance = provenance.model_copy(update={"config": provenance.config | {"data": data}})
    itself = tmp_path / "all.safetensors"
    info = trained.info.model_copy(update={"provenance": provenance})
    save_checkpoint(itself, trained.network, info)

    out = tmp_path / "bundle"
    result = CliRunner().invoke(
        command,
        [str(itself), "-o", str(out), "--twin", str(trained.path), "--calibration-photos", "12",
         "--max-drop", "20", "--min-agreement", "80"],
    )  # fmt: skip

    assert result.exit_code == 1
    assert "onnx-int8 is left out: it gives the network's first answer to" in result.stderr
    assert ModelBundle.load(out).manifest.targets.keys() == {"onnx-fp32"}


@pytest.mark.parametrize("photos", ["validation", "test"])
def test_a_target_that_gives_nan_is_left_out(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photos: str
) -> None:
    answer = BackendRunner.__call__
    count = {"validation": 18, "test": 24}[photos]

    def no_number(self: BackendRunner, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = answer(self, pictures)
        if self._target.engine == "openvino" and len(pictures) == count:
            logits[3, 1] = np.nan
        return logits

    monkeypatch.setattr(BackendRunner, "__call__", no_number)
    arguments = [
        str(trained.path),
        "-o",
        str(tmp_path / "b"),
        "--targets",
        "onnx-fp32,openvino-fp16",
    ]
    result = CliRunner().invoke(command, arguments)

    assert result.exit_code == 1
    assert "openvino-fp16 is left out: it gives NaN or infinite logits" in result.stderr
    assert ModelBundle.load(tmp_path / "b").manifest.targets.keys() == {"onnx-fp32"}


def test_what_a_training_left_is_not_taken_away_by_another_compression(
    trained, tmp_path: Path
) -> None:
    recovery = tmp_path / "b.work" / "recovered.partial"
    recovery.mkdir(parents=True)
    for name in ("inputs.json", "last.ckpt"):
        (recovery / name).write_text("{}")
    arguments = [str(trained.path), "-o", str(tmp_path / "b"), "--targets", "onnx-fp32"]
    assert CliRunner().invoke(command, arguments).exit_code == 0
    assert [path.name for path in (tmp_path / "b.work").iterdir()] == ["recovered.partial"]


@pytest.mark.parametrize("work", ["b", "b/work"])
def test_stages_are_not_kept_in_the_bundle(trained, tmp_path: Path, work: str) -> None:
    arguments = [str(trained.path), "-o", str(tmp_path / "b"), "--work", str(tmp_path / work)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    assert "; choose another --work" in result.stderr
    assert list(tmp_path.iterdir()) == []
