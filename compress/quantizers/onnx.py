"""ONNX, by ONNX Runtime's own quantizer."""

import copy
import re
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.errors import BackendError
from ...runtime.extras import needs_extra
from ...runtime.preprocess import Preprocess
from ..exporters import Exported
from ..quiet import quiet
from . import CalibrationSet

_WEIGHTED = ("Conv", "Gemm", "MatMul")

_CHUNK = 8
"""Photos whose activations are held in memory at once: 50 MB each for MobileNetV2 at 224 px."""


class OnnxQuantizer:
    """ONNX Runtime's static quantization, in QDQ form."""

    methods = ("minmax", "entropy", "percentile")

    def calibrate(self, source: Exported, calibration: CalibrationSet) -> "OnnxCalibrated":
        """Measure the ranges of activations; see `calibrate`."""
        with needs_extra("compress"):
            import onnx
        with _one_line(), tempfile.TemporaryDirectory() as work:
            prepared = _prepare(source.files[0], Path(work))
            ranges = _ranges(prepared, Path(work), calibration)
            return OnnxCalibrated(source, onnx.load(str(prepared)), ranges)


class OnnxCalibrated:
    """A prepared ONNX model and ONNX Runtime's ranges."""

    def __init__(self, source: Exported, model: Any, ranges: Any) -> None:
        self._source = source
        self._model = model
        self._ranges = ranges
        # A layer goes by the name that timm gave it, which its weight still carries, behind those
        # of the modules that the network was wrapped in.
        self._nodes = {
            re.sub(r"^(network\.)+|\.weight$", "", node.input[1]): node.name
            for node in model.graph.node
            if node.op_type in _WEIGHTED
        }
        self.layers = tuple(self._nodes)

    def write(self, folder: Path, in_float: Collection[str] = ()) -> Exported:
        """Write ``model_int8.onnx``; see `Calibrated.write`."""
        import onnx

        path = folder / "model_int8.onnx"
        with _one_line():
            excluded = [self._nodes[layer] for layer in in_float]
            quantized = _quantize(copy.deepcopy(self._model), self._ranges, excluded)
            _forget_unused_operator_sets(quantized)
            onnx.save(quantized, str(path))
        return Exported(self._source.engine, (path,), self._source.layout)


@contextmanager
def _one_line() -> Iterator[None]:
    """Quantization raises what NumPy, protobuf and ONNX Runtime happen to raise."""
    try:
        with quiet():
            yield
    except BackendError:
        raise
    except Exception as error:
        raise BackendError(f"ONNX Runtime cannot quantize this network: {error}") from error


def _prepare(source: Path, folder: Path) -> Path:
    """Fold constants and batch norm, and note every tensor's shape."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = folder / "prepared.onnx"
    # Symbolic inference is for transformers; it would need one more package.
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    return prepared


def _ranges(model: Path, folder: Path, calibration: CalibrationSet) -> Any:
    """The range of every activation over the calibration set."""
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    methods = {
        "minmax": (CalibrationMethod.MinMax, {}),
        "entropy": (CalibrationMethod.Entropy, {}),
        # ONNX Runtime's default mirrors the range about zero, which wastes half of the integers
        # on what a ReLU never gives.
        "percentile": (CalibrationMethod.Percentile, {"symmetric": False}),
    }
    chosen, options = methods[calibration.method]
    calibrator = create_calibrator(
        str(model),
        augmented_model_path=str(folder / "augmented.onnx"),
        calibrate_method=chosen,
        extra_options=options,
    )
    pictures = calibration.pictures
    for start in range(0, len(pictures), _CHUNK):
        calibrator.collect_data(_Reader(pictures[start : start + _CHUNK], calibration.preprocess))
    ranges = calibrator.compute_data()
    for name in ranges.keys():  # noqa: SIM118 - not a dict
        if not np.isfinite([ranges[name].lowest, ranges[name].highest]).all():
            raise BackendError(f"activation {name} is not finite on the calibration photos")
    return ranges


def _quantize(model: Any, ranges: Any, excluded: list[str]) -> Any:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=excluded,
        # Both lists, as ONNX Runtime itself does: additions and pooling stand in the second alone.
        op_types_to_quantize=[*QDQRegistry, *QLinearOpsRegistry],
        extra_options={},
    )
    quantizer.quantize_model()
    return quantizer.model.model


def _forget_unused_operator_sets(model: Any) -> None:
    """Preparation lists every set that ONNX Runtime knows, which other readers may refuse."""
    used = {node.domain for node in model.graph.node}
    for operator_set in list(model.opset_import):
        if operator_set.domain not in used:
            model.opset_import.remove(operator_set)


class _Reader:
    """Calibration pictures one by one, as ONNX Runtime's calibrators ask for them."""

    def __init__(self, pictures: NDArray[np.uint8], preprocess: Preprocess) -> None:
        batches = (preprocess.normalise(picture[None]) for picture in pictures)
        self._inputs = (
            {"image": np.ascontiguousarray(batch.transpose(0, 3, 1, 2))} for batch in batches
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next picture by the input's name; ``None`` after the last."""
        return next(self._inputs, None)
