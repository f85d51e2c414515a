"""OpenVINO's intermediate representation, by NNCF."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.backends.amx import without_amx
from ...runtime.errors import BackendError
from ...runtime.extras import needs_extra
from ..exporters import Exported
from ..quiet import quiet
from . import CalibrationSet

_WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")


class OpenVinoQuantizer:
    """NNCF's post-training quantization, with its fast bias correction."""

    methods = ("minmax", "percentile")

    def calibrate(self, source: Exported, calibration: CalibrationSet) -> "OpenVinoCalibrated":
        """Nothing yet: NNCF measures ranges anew for each choice of layers; see `calibrate`."""
        without_amx()
        with needs_extra("compress"), quiet():
            import nncf  # noqa: F401 - said now rather than after other stages
        return OpenVinoCalibrated(source, calibration)


class OpenVinoCalibrated:
    """An OpenVINO model and the photos to quantize it by."""

    def __init__(self, source: Exported, calibration: CalibrationSet) -> None:
        import openvino

        self._source = source
        self._calibration = calibration
        model = openvino.Core().read_model(str(source.files[0]))
        weighted = [op for op in model.get_ordered_ops() if op.get_type_name() in _WEIGHTED]
        # OpenVINO's own names are numbers that no other conversion gives again.
        self._ops = {
            f"{op.get_type_name()} {number}": op.get_friendly_name()
            for number, op in enumerate(weighted, start=1)
        }
        self.layers = tuple(self._ops)

    def write(self, folder: Path, in_float: Collection[str] = ()) -> Exported:
        """Write ``model_int8.xml`` and ``model_int8.bin``; see `Calibrated.write`."""
        with quiet():
            import nncf
            import openvino
        path = folder / "model_int8.xml"
        pictures = self._calibration.pictures
        try:
            with quiet():
                quantized = nncf.quantize(
                    openvino.Core().read_model(str(self._source.files[0])),
                    nncf.Dataset(list(pictures), _model_input(self._calibration)),
                    # Weights mirror about zero, activations do not: a ReLU gives nothing below.
                    preset=nncf.QuantizationPreset.MIXED,
                    subset_size=len(pictures),
                    ignored_scope=nncf.IgnoredScope(names=[self._ops[name] for name in in_float]),
                    advanced_parameters=_advanced(self._calibration.method),
                )
                openvino.save_model(quantized, str(path), compress_to_fp16=True)
        # NNCF raises its own errors and OpenVINO's.
        except Exception as error:
            raise BackendError(f"NNCF cannot quantize this network: {error}") from error
        return Exported(self._source.engine, (path, path.with_suffix(".bin")), self._source.layout)


def _model_input(calibration: CalibrationSet) -> Any:
    def prepare(picture: Any) -> Any:
        values = calibration.preprocess.normalise(picture[None])
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    return prepare


def _advanced(method: str) -> Any:
    from nncf import AdvancedQuantizationParameters, OverflowFix
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
    return AdvancedQuantizationParameters(
        activations_range_estimator_params=ranges[method],
        # Weights of seven bits: on x86 processors without VNNI, dot products saturate at sixteen.
        # NNCF spares the first layer alone of itself, and MobileNetV2's logits were off by 9.6 %
        # there (by 5.3 % elsewhere); so they are off by 6.2 to 6.6 % anywhere.
        overflow_fix=OverflowFix.ENABLE,
    )
