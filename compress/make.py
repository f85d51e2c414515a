"""From a network to the files of its targets: exported once per format, quantized where asked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..runtime.bundle import describe_file
from ..runtime.manifest import Target
from .exporters import Exported, load_exporter
from .quantizers import CalibrationSet, quantize
from .targets import TARGETS

Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """One target on its way into a bundle.

    Attributes:
        files: where they lie now, the one to open first.
        target: what the manifest will say; tolerance and accuracy still to be filled in.
    """

    files: tuple[Path, ...]
    target: Target


def make_targets(
    network: nn.Module,
    input_size: tuple[int, int],
    names: Iterable[str],
    calibration: CalibrationSet | None,
    folder: Path,
    say: Say = lambda line: None,
) -> dict[str, Made]:
    """Export and quantize a network.

    Args:
        network: in evaluation mode; normalised float32 ``[N, 3, H, W]`` to logits ``[N, classes]``.
        input_size: height and width in pixels.
        names: of `TARGETS`.
        calibration: needed where a target is quantized.
        folder: an existing one.
        say: told what goes on, a line at a time.

    Raises:
        BackendError: the network cannot be exported or quantized.
        MissingExtraError: a converter is not installed.
    """
    exported: dict[str, Exported] = {}
    made = {}
    for name in names:
        recipe = TARGETS[name]
        if recipe.exporter not in exported:
            say(f"exporting to {recipe.exporter}")
            exporter = load_exporter(recipe.exporter)
            exported[recipe.exporter] = exporter.export(network, input_size, folder)
        result = exported[recipe.exporter]
        if recipe.quantized and calibration is not None:
            say(f"quantizing for {name}")
            result = quantize(result, calibration, folder)
        target = Target(
            engine=result.engine,
            files=tuple(describe_file(file) for file in result.files),
            layout=result.layout,
            golden_tolerance=recipe.tolerance,
        )
        made[name] = Made(result.files, target)
    return made
