"""From a float model to 8-bit integers, each engine's by the tool made for it."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...runtime import plugins
from ...runtime.errors import BackendError, DataError
from ...runtime.preprocess import Preprocess
from ..exporters import Exported
from ..verify import run_exported

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


class Calibrated(Protocol):
    """A float model with the ranges of its activations: all that writing an INT8 version takes.

    Attributes:
        layers: those with weights, each named once, in the order of the graph.
    """

    layers: tuple[str, ...]

    def write(self, folder: Path, in_float: Collection[str] = ()) -> Exported:
        """Write the INT8 version into a folder; an older one is replaced.

        Args:
            folder: an existing one.
            in_float: of `layers`, those that stay as they are.

        Raises:
            BackendError: the model cannot be quantized.
        """


class Quantizer(Protocol):
    """Quantizes what an exporter wrote.

    Attributes:
        methods: the calibration methods that it knows.
    """

    methods: tuple[str, ...]

    def calibrate(self, source: Exported, calibration: CalibrationSet) -> Calibrated:
        """Measure the ranges of activations; see `calibrate`."""


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


def calibrate(source: Exported, calibration: CalibrationSet) -> Calibrated:
    """Measure what quantizing a float model takes.

    Weights are signed and per output channel, activations have a range measured on the calibration
    set. Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", CVPR 2018.

    Args:
        source: what an exporter wrote.
        calibration: the photos.

    Raises:
        DataError: the calibration set is empty.
        BackendError: the model gives values that are not finite, or cannot be quantized.
        MissingExtraError: the engine's quantizer is not installed.
    """
    if len(calibration.pictures) == 0:
        raise DataError("the calibration set is empty; quantization needs photos")
    quantizer = load_quantizer(source.engine, calibration.method)
    _check_finite(source, calibration)
    return quantizer.calibrate(source, calibration)


def quantize(source: Exported, calibration: CalibrationSet, folder: Path) -> Exported:
    """Write an INT8 version of a float model, with no layer left in float; see `calibrate`."""
    return calibrate(source, calibration).write(folder)


def _check_finite(source: Exported, calibration: CalibrationSet) -> None:
    """Ranges hide NaN, since minimum and maximum may pass over it; the output does not."""
    logits = run_exported(source, calibration.preprocess, calibration.pictures)
    if not np.isfinite(logits).all():
        raise BackendError(
            "the network gives NaN or infinite logits on calibration photos; it cannot be quantized"
        )
