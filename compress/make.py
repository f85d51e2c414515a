"""From a network to the files of its targets: exported once per format, quantized where asked."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from ..runtime.bundle import describe_file
from ..runtime.manifest import Target
from .control import Drop, quantize_within
from .exporters import Exported, load_exporter
from .features import WithFeatures, has_linear_head
from .quantizers import CalibrationSet, calibrate
from .targets import TARGETS

Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """One target on its way into a bundle.

    Attributes:
        files: where they lie now, the one to open first.
        target: what the manifest will say; tolerance and accuracy still to be filled in.
        in_float: layers of an INT8 target that accuracy control left in float.
    """

    files: tuple[Path, ...]
    target: Target
    in_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quantization:
    """How networks are quantized.

    Attributes:
        calibration: photos for the ranges of activations.
        budget: points of accuracy that an INT8 target may lose.
        drop: measures how many one has lost.
        settled: layers to leave in float by target, where that is known already.
    """

    calibration: CalibrationSet
    budget: float = math.inf
    drop: Drop = lambda model: 0.0
    settled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def make_targets(
    network: nn.Module,
    input_size: tuple[int, int],
    names: Iterable[str],
    quantization: Quantization | None,
    folder: Path,
    say: Say = lambda line: None,
) -> dict[str, Made]:
    """Export and quantize a network.

    Args:
        network: in evaluation mode; normalised float32 ``[N, 3, H, W]`` to logits ``[N, classes]``.
            If it has a linear head, the targets give its last feature map as well.
        input_size: height and width in pixels.
        names: of `TARGETS`.
        quantization: needed where a target is quantized.
        folder: an existing one.
        say: told what goes on, a line at a time.

    Raises:
        BackendError: the network cannot be exported or quantized.
        MissingExtraError: a converter is not installed.
    """
    exported: dict[str, Exported] = {}
    made = {}
    features = has_linear_head(network, input_size)
    network = WithFeatures(network).eval() if features else network
    for name in names:
        recipe = TARGETS[name]
        if recipe.exporter not in exported:
            say(f"exporting to {recipe.exporter}")
            exporter = load_exporter(recipe.exporter)
            exported[recipe.exporter] = exporter.export(network, input_size, folder)
        result = exported[recipe.exporter]
        in_float: tuple[str, ...] = ()
        if recipe.quantized and quantization is not None:
            say(f"quantizing for {name}")
            result, in_float = _quantize(name, result, quantization, folder, say)
        target = Target(
            engine=result.engine,
            files=tuple(describe_file(file) for file in result.files),
            layout=result.layout,
            features=features,
            golden_tolerance=recipe.tolerance,
        )
        made[name] = Made(result.files, target, in_float)
    return made


def _quantize(
    name: str, source: Exported, how: Quantization, folder: Path, say: Say
) -> tuple[Exported, tuple[str, ...]]:
    if name in how.settled:
        in_float = how.settled[name]
        return calibrate(source, how.calibration).write(folder, in_float), in_float
    done = quantize_within(how.budget, how.drop, source, how.calibration, folder, say)
    return done.model, done.in_float
