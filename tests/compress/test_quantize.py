from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from birdedge.compress.exporters import load_exporter
from birdedge.compress.photos import batches
from birdedge.compress.quantize import quantize_onnx
from birdedge.runtime.errors import BackendError, DataError
from birdedge.runtime.preprocess import Preprocess
from birdedge.train.layouts import read_dataset

PREPROCESS = Preprocess(input_size=(64, 64))


class Inverted(nn.Module):
    """One of MobileNetV2's blocks between a stem and a head.

    A whole untrained network would do no good here: depth multiplies rounding errors that training
    teaches a network to bear.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6())
        self.block = nn.Sequential(
            *(nn.Conv2d(8, 64, 1), nn.BatchNorm2d(64), nn.ReLU6()),
            *(nn.Conv2d(64, 64, 3, 1, 1, groups=64), nn.BatchNorm2d(64), nn.ReLU6()),
            *(nn.Conv2d(64, 8, 1), nn.BatchNorm2d(8)),
        )
        self.head = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.stem(images)
        features = features + self.block(features)
        return self.head(features.mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = Inverted().eval()
    return load_exporter("onnx").export(network, (64, 64), tmp_path_factory.mktemp("onnx")).files[0]


@pytest.fixture(scope="module")
def pictures(trained) -> NDArray[np.uint8]:
    photos = read_dataset(trained.photos).train[::3]
    return np.concatenate(list(batches(photos, PREPROCESS, 0.0)))


def logits_of(model: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    batch = PREPROCESS.normalise(pictures).transpose(0, 3, 1, 2)
    return session.run(None, {"image": batch})[0]


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_int8_logits_stay_close_to_the_float_ones(
    source: Path, pictures: NDArray[np.uint8], tmp_path: Path, method: str
) -> None:
    quantized = tmp_path / "int8.onnx"
    quantize_onnx(source, quantized, pictures, PREPROCESS, method)
    wanted, given = logits_of(source, pictures), logits_of(quantized, pictures)
    assert np.abs(given - wanted).mean() < 0.03 * np.ptp(wanted)


def test_int8_model_computes_with_integers(
    source: Path, pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    quantized, optimized = tmp_path / "int8.onnx", tmp_path / "optimized.onnx"
    quantize_onnx(source, quantized, pictures, PREPROCESS)
    assert [entry.domain for entry in onnx.load(quantized).opset_import] == [""]

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(optimized)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(quantized), options, providers=["CPUExecutionProvider"])
    operators = {node.op_type for node in onnx.load(optimized).graph.node}
    assert {"QLinearConv", "QLinearAdd", "QGemm"} <= operators
    assert not {"Conv", "Add", "Gemm", "Clip", "Pad"} & operators


def test_exported_model_says_nothing_of_the_machine_it_was_made_on(source: Path) -> None:
    assert str(Path(torch.__file__).parent).encode() not in source.read_bytes()
    assert str(Path(__file__).parent).encode() not in source.read_bytes()


def test_empty_calibration_set_is_refused(source: Path, tmp_path: Path) -> None:
    nothing = np.zeros((0, 64, 64, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="calibration set is empty"):
        quantize_onnx(source, tmp_path / "int8.onnx", nothing, PREPROCESS)


class Overflowing(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.mean(dim=(2, 3)) * 3e38) * 10


def test_network_with_infinite_logits_is_refused(
    pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = load_exporter("onnx").export(Overflowing().eval(), (64, 64), tmp_path).files[0]
    with pytest.raises(BackendError, match="NaN or infinite"):
        quantize_onnx(source, tmp_path / "int8.onnx", pictures, PREPROCESS)
    assert not (tmp_path / "int8.onnx").exists()
