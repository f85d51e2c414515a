"""ONNX, by ONNX Runtime's own quantizer."""

import tempfile
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

_CHUNK = 8
"""Photos whose activations are held in memory at once: 50 MB each for MobileNetV2 at 224 px."""


class OnnxQuantizer:
    """ONNX Runtime's static quantization, in QDQ form."""

    methods = ("minmax", "entropy", "percentile")

    def quantize(self, source: Exported, calibration: CalibrationSet, folder: Path) -> Exported:
        """Write ``model_int8.onnx``; see `quantize`."""
        with needs_extra("compress"):
            import onnx
        path = folder / "model_int8.onnx"
        try:
            with quiet(), tempfile.TemporaryDirectory() as work:
                prepared = _prepare(source.files[0], Path(work))
                ranges = _ranges(prepared, Path(work), calibration)
                quantized = _quantize(onnx.load(str(prepared)), ranges)
                _forget_unused_operator_sets(quantized)
                onnx.save(quantized, str(path))
        except BackendError:
            raise
        # Calibration and quantization raise what NumPy, protobuf and ONNX Runtime happen to raise.
        except Exception as error:
            raise BackendError(f"ONNX Runtime cannot quantize this network: {error}") from error
        return Exported(source.engine, (path,), source.layout)


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


def _quantize(model: Any, ranges: Any) -> Any:
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
        nodes_to_exclude=[],
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
