"""ONNX to 8-bit integers, per channel, calibrated on photos."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import BackendError, DataError
from ..runtime.extras import needs_extra
from ..runtime.preprocess import Preprocess
from .quiet import quiet

_CHUNK = 8
"""Photos whose activations are held in memory at once: 50 MB each for MobileNetV2 at 224 px."""


def quantize_onnx(
    source: Path,
    destination: Path,
    pictures: NDArray[np.uint8],
    preprocess: Preprocess,
    method: str = "minmax",
) -> None:
    """Write an INT8 version of a float ONNX model, in QDQ form.

    Weights are signed and per output channel. Jacob et al., "Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018.

    Args:
        source: float model, one input ``[N, 3, h, w]`` and one output.
        destination: file to write.
        pictures: the calibration set, uint8 ``[N, h, w, 3]``, as `Preprocess.fit` gives them.
        preprocess: the model's own.
        method: how an activation's range is found: ``minmax``, ``entropy`` or ``percentile``.

    Raises:
        DataError: the calibration set is empty.
        BackendError: the model gives values that are not finite, or cannot be quantized.
        MissingExtraError: ``onnx`` is not installed.
    """
    if len(pictures) == 0:
        raise DataError("the calibration set is empty; quantization needs photos")
    with needs_extra("compress"):
        import onnx
    _check_finite(source, pictures, preprocess)
    try:
        with quiet(), tempfile.TemporaryDirectory() as folder:
            prepared = _prepare(source, Path(folder))
            ranges = _ranges(prepared, Path(folder), pictures, preprocess, method)
            quantized = _quantize(onnx.load(str(prepared)), ranges)
            _forget_unused_operator_sets(quantized)
            onnx.save(quantized, str(destination))
    except BackendError:
        raise
    # Calibration and quantization raise what NumPy, protobuf and ONNX Runtime happen to raise.
    except Exception as error:
        raise BackendError(f"cannot quantize {source.name}: {error}") from error


def _prepare(source: Path, folder: Path) -> Path:
    """Fold constants and batch norm, and note every tensor's shape."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = folder / "prepared.onnx"
    # Symbolic inference is for transformers; it would need one more package.
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    return prepared


def _ranges(
    model: Path, folder: Path, pictures: NDArray[np.uint8], preprocess: Preprocess, method: str
) -> Any:
    """The range of every activation over the calibration set."""
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    methods = {
        "minmax": (CalibrationMethod.MinMax, {}),
        "entropy": (CalibrationMethod.Entropy, {}),
        # ONNX Runtime's default mirrors the range about zero, which wastes half of the integers
        # on what a ReLU never gives.
        "percentile": (CalibrationMethod.Percentile, {"symmetric": False}),
    }
    chosen, options = methods[method]
    calibrator = create_calibrator(
        str(model),
        augmented_model_path=str(folder / "augmented.onnx"),
        calibrate_method=chosen,
        extra_options=options,
    )
    for start in range(0, len(pictures), _CHUNK):
        calibrator.collect_data(_Reader(pictures[start : start + _CHUNK], preprocess))
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
        self._inputs = _inputs(pictures, preprocess)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next picture by the input's name; ``None`` after the last."""
        return next(self._inputs, None)


def _inputs(
    pictures: NDArray[np.uint8], preprocess: Preprocess
) -> Iterator[dict[str, NDArray[np.float32]]]:
    for start in range(len(pictures)):
        batch = preprocess.normalise(pictures[start : start + 1])
        yield {"image": np.ascontiguousarray(batch.transpose(0, 3, 1, 2))}


def _check_finite(model: Path, pictures: NDArray[np.uint8], preprocess: Preprocess) -> None:
    """Ranges hide NaN, since minimum and maximum may pass over it; the output does not."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for inputs in _inputs(pictures, preprocess):
        if not np.isfinite(session.run(None, inputs)[0]).all():
            raise BackendError(
                "the network gives NaN or infinite logits on calibration photos; "
                "it cannot be quantized"
            )
