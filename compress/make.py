"""From a network to the files of its targets: exported once per format, quantized where asked."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ..runtime.bundle import describe_file
from ..runtime.errors import BirdedgeError
from ..runtime.manifest import Target
from .control import Judge, quantize_within
from .exporters import Exported, load_exporter
from .features import WithFeatures, has_linear_head
from .quantizers import CalibrationSet, calibrate
from .stages import read_result, stage
from .targets import TARGETS, Calibration, float_target

Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """One target on its way into a bundle.

    Attributes:
        files: where they lie now, the one to open first.
        target: what the manifest will say; tolerance and accuracy still to be filled in.
        in_float: layers of an INT8 target that accuracy control left in float.
        calibration: how the ranges of an INT8 target were found.
    """

    files: tuple[Path, ...]
    target: Target
    in_float: tuple[str, ...] = ()
    calibration: Calibration | None = None

    @property
    def megabytes(self) -> float:
        """Size of its files, in 10^6 bytes."""
        return sum(file.stat().st_size for file in self.files) / 1e6


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
        network: see `export`.
        input_size: height and width in pixels.
        names: of `TARGETS`.
        quantization: needed where a target is quantized.
        work: each target has a folder of its name here, and so has the float one that an INT8 one
            is made from; see `stage`.
        made_from: what the network is, as JSON.
        say: told what goes on, a line at a time.

    Raises:
        BackendError: the network cannot be exported or quantized.
        MissingExtraError: a converter is not installed.
        BirdedgeError: a stage's folder cannot be written.
    """
    made = {}
    for name in names:
        start = float_target(name)
        made[name] = export(network, input_size, start, work / start, made_from, say)
        if name != start and quantization is not None:
            made[name] = quantize(made[name], name, quantization, work / name, made_from, say)
    return made


def export(
    network: nn.Module,
    input_size: tuple[int, int],
    name: str,
    folder: Path,
    made_from: Mapping[str, Any],
    say: Say = lambda line: None,
) -> Made:
    """Export a network into a folder, unless it was from the same before.

    Args:
        network: in evaluation mode; normalised float32 ``[N, 3, H, W]`` to logits ``[N, classes]``.
            If it has a linear head, the target gives its last feature map as well.
        input_size: height and width in pixels.
        name: of a float target.
        folder: see `stage`.
        made_from: what the network is, as JSON.
        say: told what goes on, a line at a time.

    Raises:
        BackendError: the network cannot be exported.
        MissingExtraError: the converter is not installed.
        BirdedgeError: the folder cannot be written.
    """
    exporter = TARGETS[name].exporter

    def export_into(folder: Path) -> dict[str, Any]:
        say(f"exporting to {exporter}")
        features = has_linear_head(network, input_size)
        exported = WithFeatures(network).eval() if features else network
        model = load_exporter(exporter).export(exported, input_size, folder)
        return {"target": name, "features": features, **_as_json(model)}

    stage(folder, {**made_from, "target": name}, export_into)
    return read_made(folder)[1]


def quantize(
    source: Made,
    name: str,
    how: Quantization,
    folder: Path,
    made_from: Mapping[str, Any],
    say: Say = lambda line: None,
) -> Made:
    """Quantize an exported network into a folder, unless it was from the same before.

    Args:
        source: the float target.
        name: of the INT8 target.
        how: with which photos, and how well.
        folder: see `stage`.
        made_from: what the network is, as JSON.
        say: told what goes on, a line at a time.

    Raises:
        DataError, BackendError, MissingExtraError: see `calibrate`.
        BirdedgeError: the folder cannot be written.
    """

    def quantize_into(folder: Path) -> dict[str, Any]:
        say(f"quantizing for {name}")
        model = Exported(source.target.engine, source.files, source.target.layout)
        if name in how.settled:
            in_float = how.settled[name]
            written = calibrate(model, how.calibration).write(folder, in_float)
        else:
            done = quantize_within(how.judge_of(name), model, how.calibration, folder, say)
            written, in_float = done.model, done.in_float
        return {
            "target": name,
            "features": source.target.features,
            **_as_json(written),
            "in_float": in_float,
            "calibration": {
                "photos": len(how.calibration.pictures),
                "method": how.calibration.method,
            },
        }

    settled = how.settled.get(name, ())
    stage(folder, quantization_inputs(name, made_from, how.record, settled), quantize_into)
    return read_made(folder)[1]


def quantization_inputs(
    name: str, made_from: Mapping[str, Any], how: Mapping[str, Any], settled: Sequence[str] = ()
) -> dict[str, Any]:
    """All that decides what `quantize` makes, as JSON; see `stage`.

    Args:
        name: of the INT8 target.
        made_from: what the network is.
        how: `Quantization.record`.
        settled: layers to leave in float, where that is known already.
    """
    return {**made_from, "target": name, **how, "settled": settled}


def read_made(folder: Path) -> tuple[str, Made]:
    """A target's name, and the target, from the folder that `export` or `quantize` left.

    Raises:
        BirdedgeError: there is none, or a file of it is missing or cut short.
    """
    result = read_result(folder)
    if result is None or result.get("target") not in TARGETS:
        raise BirdedgeError(f"{folder} is no target of `birdedge export` or `quantize`")
    name = result["target"]
    files = tuple(folder / file for file in result["files"])
    target = Target(
        engine=result["engine"],
        files=tuple(describe_file(file) for file in files),
        layout=result["layout"],
        features=result["features"],
        golden_tolerance=TARGETS[name].tolerance,
    )
    if not TARGETS[name].quantized:
        return name, Made(files, target)
    return name, Made(
        files, target, tuple(result["in_float"]), Calibration(**result["calibration"])
    )


def _as_json(model: Exported) -> dict[str, Any]:
    return {
        "engine": model.engine,
        "files": [file.name for file in model.files],
        "layout": model.layout,
    }
