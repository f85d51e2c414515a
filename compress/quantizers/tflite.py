"""TensorFlow Lite's flat buffer, by AI Edge Quantizer."""

from pathlib import Path

from ...runtime.backends.tflite import open_interpreter
from ...runtime.errors import BackendError
from ...runtime.extras import needs_extra
from ..exporters import Exported
from ..quiet import quiet
from . import CalibrationSet


class TfliteQuantizer:
    """Static quantization of weights, per channel, and of activations; input and output too."""

    methods = ("minmax",)

    def quantize(self, source: Exported, calibration: CalibrationSet, folder: Path) -> Exported:
        """Write ``model_int8.tflite``; see `quantize`."""
        with needs_extra("compress"), quiet():
            from ai_edge_quantizer.calibrator import Calibrator
            from ai_edge_quantizer.quantizer import Quantizer
            from ai_edge_quantizer.recipe import static_wi8_ai8
            from ai_edge_quantizer.recipe_manager import RecipeManager
            from ai_edge_quantizer.utils.qsv_utils import min_max_update
        path = folder / "model_int8.tflite"
        ((signature, ends),) = open_interpreter(source.files[0], 1).get_signature_list().items()
        name = ends["inputs"][0]
        photos = [
            {name: calibration.preprocess.normalise(picture[None])}
            for picture in calibration.pictures
        ]
        try:
            with quiet():
                recipe = RecipeManager()
                recipe.load_quantization_recipe(static_wi8_ai8())
                # Of itself it takes a moving average, which the last photos rule and which cuts off
                # what is rare: logits, for one, are largest for the few photos of their class.
                calibrator = Calibrator(str(source.files[0]), qsv_update_func=min_max_update)
                calibrator.calibrate({signature: photos}, recipe)
                Quantizer(str(source.files[0]), static_wi8_ai8()).quantize(
                    calibrator.get_model_qsvs(), serialize_to_path=str(path)
                )
        # It has no errors of its own.
        except Exception as error:
            raise BackendError(
                f"AI Edge Quantizer cannot quantize this network: {error}"
            ) from error
        return Exported(source.engine, (path,), source.layout)
