"""From a float model to 8-bit integers, each engine's by the tool made for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...runtime import plugins
from ...runtime.bundle import describe_file
from ...runtime.errors import BackendError, DataError
from ...runtime.manifest import Target
from ...runtime.preprocess import Preprocess
from ..exporters import Exported
from ..verify import BackendRunner

GROUP = "birdedge.quantizers"


@dataclass(frozen=True)
class CalibrationSet:
    """What the ranges of activations are measured on.

    Attributes:
        pictures: training photos, uint8 ``[N, h, w, 3]``, as `Preprocess.fit` gives them.
        preprocess: the model's own.
        method: how a range is found, one of `CALIBRATION_METHODS`.
    """

    pictures: NDArray[np.uint8]
    preprocess: Preprocess
    method: str = "minmax"


class Quantizer(Protocol):
    """Quantizes what an exporter wrote.

    Attributes:
        methods: the calibration methods that it knows.
    """

    methods: tuple[str, ...]

    def quantize(self, source: Exported, calibration: CalibrationSet, folder: Path) -> Exported:
        """Write an INT8 version into a folder; see `quantize`."""


def load_quantizer(engine: str, method: str) -> Quantizer:
    """Find an engine's quantizer.

    Raises:
        BackendError: there is none, or it does not know the calibration method.
    """
    point = plugins.find(GROUP, engine)
    if point is None:
        known = ", ".join(plugins.names(GROUP))
        raise BackendError(f"models for {engine!r} cannot be quantized; those for {known} can")
    quantizer_class: Any = point.load()
    quantizer: Quantizer = quantizer_class()
    if method not in quantizer.methods:
        raise BackendError(
            f"the quantizer for {engine} knows no calibration by {method!r}, "
            f"only by {', '.join(quantizer.methods)}"
        )
    return quantizer


def quantize(source: Exported, calibration: CalibrationSet, folder: Path) -> Exported:
    """Write an INT8 version of a float model, beside it or elsewhere.

    Weights are signed and per output channel, activations have a range measured on the calibration
    set. Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018.

    Args:
        source: what an exporter wrote.
        calibration: the photos.
        folder: an existing one.

    Raises:
        DataError: the calibration set is empty.
        BackendError: the model gives values that are not finite, or cannot be quantized.
        MissingExtraError: the engine's quantizer is not installed.
    """
    if len(calibration.pictures) == 0:
        raise DataError("the calibration set is empty; quantization needs photos")
    quantizer = load_quantizer(source.engine, calibration.method)
    _check_finite(source, calibration)
    return quantizer.quantize(source, calibration, folder)


def _check_finite(source: Exported, calibration: CalibrationSet) -> None:
    """Ranges hide NaN, since minimum and maximum may pass over it; the output does not."""
    files = tuple(describe_file(file) for file in source.files)
    target = Target(engine=source.engine, files=files, layout=source.layout, golden_tolerance=1)
    run = BackendRunner(source.files, target, calibration.preprocess)
    try:
        for picture in calibration.pictures:
            if not np.isfinite(run(picture[None])).all():
                raise BackendError(
                    "the network gives NaN or infinite logits on calibration photos; "
                    "it cannot be quantized"
                )
    finally:
        run.close()
