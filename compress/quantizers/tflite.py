"""TensorFlow Lite's flat buffer, by AI Edge Quantizer."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...runtime.backends.tflite import open_interpreter
from ...runtime.errors import BackendError
from ...runtime.extras import needs_extra
from ..exporters import Exported
from ..quiet import quiet
from . import CalibrationSet

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class TfliteQuantizer:
    """Static quantization of weights, per channel, and of activations; input and output too."""

    methods = ("minmax",)

    def calibrate(self, source: Exported, calibration: CalibrationSet) -> "TfliteCalibrated":
        """Measure the ranges of activations; see `calibrate`."""
        with needs_extra("compress"), quiet():
            from ai_edge_quantizer.calibrator import Calibrator
            from ai_edge_quantizer.utils.qsv_utils import min_max_update
        interpreter = open_interpreter(source.files[0], 1)
        ((signature, ends),) = interpreter.get_signature_list().items()
        name = ends["inputs"][0]
        photos = [
            {name: calibration.preprocess.normalise(picture[None])}
            for picture in calibration.pictures
        ]
        with _one_line():
            # Of itself it takes a moving average, which the last photos rule and which cuts off
            # what is rare: logits, for one, are largest for the few photos of their class.
            calibrator = Calibrator(str(source.files[0]), qsv_update_func=min_max_update)
            calibrator.calibrate({signature: photos}, _recipe())
        return TfliteCalibrated(source, _outputs(interpreter), calibrator.get_model_qsvs())


class TfliteCalibrated:
    """A TensorFlow Lite model and AI Edge Quantizer's ranges."""

    def __init__(self, source: Exported, outputs: dict[str, str], ranges: Any) -> None:
        self._source = source
        self._outputs = outputs
        self._ranges = ranges
        self.layers = tuple(outputs)

    def write(self, folder: Path, in_float: Collection[str] = ()) -> Exported:
        """Write ``model_int8.tflite``; see `Calibrated.write`."""
        from ai_edge_quantizer.quantizer import Quantizer

        path = folder / "model_int8.tflite"
        with _one_line():
            recipe = _recipe([self._outputs[layer] for layer in in_float])
            Quantizer(str(self._source.files[0]), recipe.get_quantization_recipe()).quantize(
                self._ranges, serialize_to_path=str(path)
            )
        return Exported(self._source.engine, (path,), self._source.layout)


def _outputs(interpreter: Any) -> dict[str, str]:
    """The output tensor of each layer with weights, by which recipes know it."""
    tensors = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
    # The only way to the operators of a model without a parser of its own.
    operators = interpreter._get_ops_details()
    weighted = [operator for operator in operators if operator["op_name"] in _WEIGHTED]
    return {
        f"{operator['op_name']} {number}": tensors[operator["outputs"][0]]
        for number, operator in enumerate(weighted, start=1)
    }


def _recipe(outputs_in_float: Collection[str] = ()) -> Any:
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.recipe import static_wi8_ai8
    from ai_edge_quantizer.recipe_manager import RecipeManager

    recipe = RecipeManager()
    recipe.load_quantization_recipe(static_wi8_ai8())
    for output in outputs_in_float:
        recipe.add_quantization_config(
            f"^{re.escape(output)};",
            TFLOperationName.ALL_SUPPORTED,
            algorithm_key=AlgorithmName.NO_QUANTIZE,
        )
    return recipe


@contextmanager
def _one_line() -> Iterator[None]:
    """AI Edge Quantizer has no errors of its own."""
    try:
        with quiet():
            yield
    except Exception as error:
        raise BackendError(f"AI Edge Quantizer cannot quantize this network: {error}") from error
