"""Accuracy control: where INT8 costs too much, the layers that cost most go back to float."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from .exporters import Exported
from .quantizers import CalibrationSet, calibrate
from .verify import Logits, run_exported

_RANKED_ON = 16
"""Photos by which layers are ranked: by their logits, which tell more than their first answers."""

_MOST = 0.5
"""With more than this share of its layers in float, INT8 is not what is wanted."""

Drop = Callable[[Exported], float]


@dataclass(frozen=True)
class Quantized:
    """What `quantize_within` wrote.

    Attributes:
        model: the INT8 version.
        in_float: names of the layers that went back to float.
    """

    model: Exported
    in_float: tuple[str, ...]


def quantize_within(
    budget: float,
    drop: Drop,
    source: Exported,
    calibration: CalibrationSet,
    folder: Path,
    say: Callable[[str], None] = lambda line: None,
) -> Quantized:
    """Quantize a model, all of it if the budget allows, or all but the layers that hurt most.

    Layers are ranked by how far the logits stray from the float model's when that layer alone is
    quantized; then they go back to float one after the other until the budget holds.

    Args:
        budget: points of accuracy that may be lost.
        drop: measures the points that a quantized model has lost.
        source: what an exporter wrote.
        calibration: the photos.
        folder: an existing one, for the model.
        say: told what goes on, a line at a time.

    Returns:
        The first model within the budget; or, if there is none, the last one tried.

    Raises:
        DataError, BackendError, MissingExtraError: see `calibrate`.
    """
    calibrated = calibrate(source, calibration)
    whole = Quantized(calibrated.write(folder), ())
    lost = drop(whole.model)
    if lost <= budget:
        return whole
    say(
        f"it loses {lost:.1f} points, more than {budget:g}: ranking {len(calibrated.layers)} layers"
    )
    ranked = rank_layers(source, calibration)
    tried = whole
    for count in range(1, int(len(ranked) * _MOST) + 1):
        in_float = ranked[:count]
        tried = Quantized(calibrated.write(folder, in_float), in_float)
        lost = drop(tried.model)
        say(f"{in_float[-1]} back to float: it loses {lost:.1f} points")
        if lost <= budget:
            break
    return tried


def rank_layers(source: Exported, calibration: CalibrationSet) -> tuple[str, ...]:
    """Names of a model's layers, those first that spoil the logits most when they are quantized.

    Raises:
        DataError, BackendError, MissingExtraError: see `calibrate`.
    """
    few = replace(calibration, pictures=calibration.pictures[:_RANKED_ON])
    wanted = _logits(source, few)
    calibrated = calibrate(source, few)
    errors = {}
    with TemporaryDirectory() as folder:
        for layer in calibrated.layers:
            others = [other for other in calibrated.layers if other != layer]
            logits = _logits(calibrated.write(Path(folder), others), few)
            errors[layer] = float(np.square(logits - wanted).mean())
    return tuple(sorted(errors, key=errors.__getitem__, reverse=True))


def _logits(model: Exported, photos: CalibrationSet) -> Logits:
    return run_exported(model, photos.preprocess, photos.pictures)
