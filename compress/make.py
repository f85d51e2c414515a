"""From a network to the files of its targets: exported once per format, quantized where asked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ..runtime.bundle import describe_file
from ..runtime.manifest import Target
from .control import Judge, quantize_within
from .exporters import Exported, load_exporter
from .features import WithFeatures, has_linear_head
from .quantizers import CalibrationSet, calibrate
from .stages import stage
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
        judge: says what is wrong with a version of a target; see `quantize_within`.
        settled: layers to leave in float by target, where that is known already.
        record: all this as JSON, by which a stage knows whether it was made from the same.
    """

    calibration: CalibrationSet
    judge: Callable[[str, Exported], str | None] = lambda name, model: None
    settled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    def judge_of(self, name: str) -> Judge:
        """What judges versions of one target."""
        return lambda model: self.judge(name, model)


def make_targets(
    network: nn.Module,
    input_size: tuple[int, int],
    names: Iterable[str],
    quantization: Quantization | None,
    work: Path,
    made_from: Mapping[str, Any],
    say: Say = lambda line: None,
) -> dict[str, Made]:
    """Export and quantize a network; what was made from the same before is not made again.

    Args:
        network: in evaluation mode; normalised float32 ``[N, 3, H, W]`` to logits ``[N, classes]``.
            If it has a linear head, the targets give its last feature map as well.
        input_size: height and width in pixels.
        names: of `TARGETS`.
        quantization: needed where a target is quantized.
        work: each export and each INT8 target has a folder here; see `stage`.
        made_from: what the network is, as JSON.
        say: told what goes on, a line at a time.

    Raises:
        BackendError: the network cannot be exported or quantized.
        MissingExtraError: a converter is not installed.
        BirdedgeError: a stage's folder cannot be written.
    """
    features = has_linear_head(network, input_size)
    network = WithFeatures(network).eval() if features else network

    def export(exporter: str) -> Exported:
        def export_into(folder: Path) -> dict[str, Any]:
            say(f"exporting to {exporter}")
            return _as_json(load_exporter(exporter).export(network, input_size, folder))

        folder = work / f"exported-{exporter}"
        return _exported(folder, stage(folder, made_from, export_into))

    def quantize(
        name: str, source: Exported, how: Quantization
    ) -> tuple[Exported, tuple[str, ...]]:
        def quantize_into(folder: Path) -> dict[str, Any]:
            say(f"quantizing for {name}")
            if name in how.settled:
                in_float = how.settled[name]
                written = calibrate(source, how.calibration).write(folder, in_float)
            else:
                done = quantize_within(how.judge_of(name), source, how.calibration, folder, say)
                written, in_float = done.model, done.in_float
            return {**_as_json(written), "in_float": list(in_float)}

        inputs = {**made_from, **how.record, "settled": list(how.settled.get(name, ()))}
        result = stage(work / name, inputs, quantize_into)
        return _exported(work / name, result), tuple(result["in_float"])

    made = {}
    for name in names:
        recipe = TARGETS[name]
        result = export(recipe.exporter)
        in_float: tuple[str, ...] = ()
        if recipe.quantized and quantization is not None:
            result, in_float = quantize(name, result, quantization)
        target = Target(
            engine=result.engine,
            files=tuple(describe_file(file) for file in result.files),
            layout=result.layout,
            features=features,
            golden_tolerance=recipe.tolerance,
        )
        made[name] = Made(result.files, target, in_float)
    return made


def _as_json(model: Exported) -> dict[str, Any]:
    return {
        "engine": model.engine,
        "files": [file.name for file in model.files],
        "layout": model.layout,
    }


def _exported(folder: Path, record: Mapping[str, Any]) -> Exported:
    files = tuple(folder / name for name in record["files"])
    return Exported(record["engine"], files, record["layout"])
