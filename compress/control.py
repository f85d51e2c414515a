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

Judge = Callable[[Exported], str | None]


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
    judge: Judge,
    source: Exported,
    calibration: CalibrationSet,
    folder: Path,
    say: Callable[[str], None] = lambda line: None,
) -> Quantized:
    """Quantize a model, all of it if that is good enough, or all but the layers that hurt most.

    Layers are ranked by how far the logits stray from the float model's when that layer alone is
    quantized; then they go back to float one after the other until it is.

    Args:
        judge: says what is wrong with a quantized model, as the rest of a sentence; None if nothing
            is.
        source: what an exporter wrote.
        calibration: the photos.
        folder: an existing one, for the model.
        say: told what goes on, a line at a time.

    Returns:
        The first model that is good enough; or, if none is, the last one tried.

    Raises:
        DataError, BackendError, MissingExtraError: see `calibrate`.
    """
    calibrated = calibrate(source, calibration)
    whole = Quantized(calibrated.write(folder), ())
    wrong = judge(whole.model)
    if wrong is None:
        return whole
    say(f"it {wrong}: ranking {len(calibrated.layers)} layers")
    ranked = rank_layers(source, calibration)
    tried = whole
    for count in range(1, int(len(ranked) * _MOST) + 1):
        in_float = ranked[:count]
        tried = Quantized(calibrated.write(folder, in_float), in_float)
        wrong = judge(tried.model)
        say(f"{in_float[-1]} back to float: it {wrong or 'keeps to what was asked for'}")
        if wrong is None:
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
