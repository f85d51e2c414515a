"""One contract for all quantizers, and what each writes."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from birdedge.compress.exporters import Exported, load_exporter
from birdedge.compress.photos import batches
from birdedge.compress.quantizers import CalibrationSet, load_quantizer, quantize
from birdedge.compress.verify import BackendRunner
from birdedge.runtime.backends.tflite import open_interpreter
from birdedge.runtime.bundle import describe_file
from birdedge.runtime.errors import BackendError, DataError
from birdedge.runtime.manifest import Target
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
def pictures(trained) -> NDArray[np.uint8]:
    photos = read_dataset(trained.photos).train[::3]
    return np.concatenate(list(batches(photos, PREPROCESS, 0.0)))


def export(engine: str, folder: Path, network: nn.Module | None = None) -> Exported:
    torch.manual_seed(0)
    return load_exporter(engine).export((network or Inverted()).eval(), (64, 64), folder)


def logits_of(model: Exported, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    files = tuple(describe_file(file) for file in model.files)
    target = Target(engine=model.engine, files=files, layout=model.layout, golden_tolerance=1)
    run = BackendRunner(model.files, target, PREPROCESS)
    try:
        return run(pictures)
    finally:
        run.close()


@pytest.mark.parametrize(
    ("engine", "method"),
    [
        *(("onnx", method) for method in ("minmax", "entropy", "percentile")),
        *(("openvino", method) for method in ("minmax", "percentile")),
        ("tflite", "minmax"),
    ],
)
def test_int8_logits_stay_close_to_the_float_ones(
    engine: str, method: str, pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = export(engine, tmp_path)
    quantized = quantize(source, CalibrationSet(pictures, PREPROCESS, method), tmp_path)
    assert (quantized.engine, quantized.layout) == (source.engine, source.layout)
    wanted, given = logits_of(source, pictures), logits_of(quantized, pictures)
    assert 0 < np.abs(given - wanted).mean() < 0.03 * np.ptp(wanted)


class Sums(nn.Module):
    """All weights alike: with white pictures, all integers are at the ends of their ranges."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 32, 3, 2, bias=False), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3, 2, bias=False), nn.ReLU()),
            *(nn.Conv2d(32, 32, 1, bias=False), nn.ReLU()),
        )
        self.head = nn.Linear(32, 3, bias=False)
        for layer in (*self.layers[::2], self.head):
            nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(images).mean(dim=(2, 3)))


@pytest.mark.parametrize("engine", ["onnx", "openvino", "tflite"])
def test_the_largest_integers_sum_up_exactly(engine: str, tmp_path: Path) -> None:
    """On x86 processors without VNNI, the usual instruction for it saturates at 16 bits."""
    white = np.full((4, 64, 64, 3), 255, dtype=np.uint8)
    white[:2] //= 2
    source = export(engine, tmp_path, Sums())
    quantized = quantize(source, CalibrationSet(white, PREPROCESS), tmp_path)
    np.testing.assert_allclose(logits_of(quantized, white), logits_of(source, white), rtol=0.05)


def test_onnx_computes_with_integers(pictures: NDArray[np.uint8], tmp_path: Path) -> None:
    quantized = quantize(export("onnx", tmp_path), CalibrationSet(pictures, PREPROCESS), tmp_path)
    assert [entry.domain for entry in onnx.load(quantized.files[0]).opset_import] == [""]

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    onnxruntime.InferenceSession(str(quantized.files[0]), options, providers=providers)
    operators = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert {"QLinearConv", "QLinearAdd", "QGemm"} <= operators
    assert not {"Conv", "Add", "Gemm", "Clip", "Pad"} & operators


def test_openvino_keeps_its_weights_as_integers(
    pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = export("openvino", tmp_path)
    quantized = quantize(source, CalibrationSet(pictures, PREPROCESS), tmp_path)
    model = openvino.Core().read_model(str(quantized.files[0]))
    weights = [
        node for node in model.get_ops()
        if node.get_type_name() == "Constant" and node.get_element_type().to_string() == "i8"
    ]  # fmt: skip
    assert len(weights) == 5  # four convolutions and the classifier


def test_tflite_takes_gives_and_computes_integers(
    pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = export("tflite", tmp_path)
    quantized = quantize(source, CalibrationSet(pictures, PREPROCESS), tmp_path)
    interpreter = open_interpreter(quantized.files[0], threads=1)
    ends = (*interpreter.get_input_details(), *interpreter.get_output_details())
    assert {end["dtype"] for end in ends} == {np.int8}
    kinds = {tensor["dtype"] for tensor in interpreter.get_tensor_details() if tensor["name"]}
    assert np.float32 not in kinds


def test_exported_model_says_nothing_of_the_machine_it_was_made_on(tmp_path: Path) -> None:
    source = export("onnx", tmp_path).files[0]
    assert str(Path(torch.__file__).parent).encode() not in source.read_bytes()
    assert str(Path(__file__).parent).encode() not in source.read_bytes()


def test_empty_calibration_set_is_refused(tmp_path: Path) -> None:
    nothing = CalibrationSet(np.zeros((0, 64, 64, 3), dtype=np.uint8), PREPROCESS)
    with pytest.raises(DataError, match="calibration set is empty"):
        quantize(export("onnx", tmp_path), nothing, tmp_path)


def test_a_method_that_an_engine_does_not_know_is_refused() -> None:
    with pytest.raises(BackendError, match="tflite knows no calibration by 'entropy', only by min"):
        load_quantizer("tflite", "entropy")


def test_an_engine_without_a_quantizer_is_refused() -> None:
    with pytest.raises(BackendError, match="'ncnn' cannot be quantized; those for onnx, openvino"):
        load_quantizer("ncnn", "minmax")


class Overflowing(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.mean(dim=(2, 3)) * 3e38) * 10


def test_network_with_infinite_logits_is_refused(
    pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = export("onnx", tmp_path, Overflowing())
    with pytest.raises(BackendError, match="NaN or infinite"):
        quantize(source, CalibrationSet(pictures, PREPROCESS), tmp_path)
    assert not (tmp_path / "model_int8.onnx").exists()


@pytest.mark.parametrize("engine", ["onnx", "openvino", "tflite"])
def test_a_damaged_source_is_one_clear_error(
    engine: str, pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = export(engine, tmp_path)
    source.files[0].write_bytes(source.files[0].read_bytes()[:200])
    with pytest.raises(BackendError, match="cannot load"):
        quantize(source, CalibrationSet(pictures, PREPROCESS), tmp_path)
