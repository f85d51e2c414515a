"""OpenVINO's intermediate representation, by NNCF."""

from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.errors import BackendError
from ...runtime.extras import needs_extra
from ...runtime.untracked import untracked
from ..exporters import Exported
from ..quiet import quiet
from . import CalibrationSet


class OpenVinoQuantizer:
    """NNCF's post-training quantization, with its fast bias correction."""

    methods = ("minmax", "percentile")

    def quantize(self, source: Exported, calibration: CalibrationSet, folder: Path) -> Exported:
        """Write ``model_int8.xml`` and ``model_int8.bin``; see `quantize`."""
        with needs_extra("compress"), quiet(), untracked():
            import nncf
            import openvino
        path = folder / "model_int8.xml"
        try:
            with quiet(), untracked():
                model = openvino.Core().read_model(str(source.files[0]))
                quantized = nncf.quantize(
                    model,
                    nncf.Dataset(list(calibration.pictures), _model_input(calibration)),
                    # Weights mirror about zero, activations do not: a ReLU gives nothing below.
                    preset=nncf.QuantizationPreset.MIXED,
                    subset_size=len(calibration.pictures),
                    advanced_parameters=_range_of_activations(calibration.method),
                )
                openvino.save_model(quantized, str(path), compress_to_fp16=True)
        # NNCF raises its own errors and OpenVINO's.
        except Exception as error:
            raise BackendError(f"NNCF cannot quantize this network: {error}") from error
        return Exported(source.engine, (path, path.with_suffix(".bin")), source.layout)


def _model_input(calibration: CalibrationSet) -> Any:
    def prepare(picture: Any) -> Any:
        values = calibration.preprocess.normalise(picture[None])
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    return prepare


def _range_of_activations(method: str) -> Any:
    from nncf import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import (
        AggregatorType,
        RangeEstimatorParameters,
        RangeEstimatorParametersSet,
        StatisticsCollectorParameters,
        StatisticsType,
    )

    # NNCF's own estimator by quantiles averages them over the photos, which cuts off what is rare:
    # logits, for one, are largest for the few photos of their class. The widest of all, leaving out
    # one value in 100,000, is what ONNX Runtime calls by the same name.
    ends = (AggregatorType.MIN, AggregatorType.MAX)
    low, high = (
        StatisticsCollectorParameters(
            statistics_type=StatisticsType.QUANTILE,
            aggregator_type=end,
            quantile_outlier_prob=1e-5,
        )
        for end in ends
    )
    ranges = {
        "minmax": RangeEstimatorParametersSet.MINMAX,
        "percentile": RangeEstimatorParameters(min=low, max=high),
    }
    return AdvancedQuantizationParameters(activations_range_estimator_params=ranges[method])
