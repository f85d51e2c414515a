"""What the second output costs: each target with its feature map against the same one without.

    python -m birdedge.benchmarks.features CHECKPOINT

Both run in turn, one picture at a time, and give their logits; the ratio is of medians.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from torch import nn

from ..compress.exporters import Exported, load_exporter
from ..compress.features import WithFeatures
from ..compress.quantizers import CalibrationSet, quantize
from ..runtime.backends import load_backend
from ..runtime.bundle import describe_file
from ..runtime.golden import draw_golden_inputs, model_input
from ..runtime.manifest import Target
from ..runtime.preprocess import Preprocess
from ..train.checkpoint import load_checkpoint
from ..train.model import network_of

ENGINES = ("onnx", "openvino", "tflite")


def main(
    checkpoint: Annotated[Path, typer.Argument(exists=True)],
    threads: Annotated[int, typer.Option(min=1)] = 2,
    rounds: Annotated[int, typer.Option(min=3)] = 200,
) -> None:
    """Print a line per engine and kind."""
    info, weights = load_checkpoint(checkpoint)
    network = network_of(info, weights)
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as without, tempfile.TemporaryDirectory() as with_map:
            plain = _make(engine, network, info.preprocess, Path(without))
            both = _make(engine, WithFeatures(network).eval(), info.preprocess, Path(with_map))
            for name, one, other in zip(("float", "int8"), plain, both, strict=True):
                print(f"{engine:<10}{name:<6}", end="", flush=True)
                before, after = _time(one, other, info.preprocess, threads, rounds)
                print(f"{before:7.2f} ms -> {after:6.2f} ms  {after / before:.3f} x (at most 1.03)")


def _make(
    engine: str, network: nn.Module, preprocess: Preprocess, folder: Path
) -> tuple[Exported, Exported]:
    exported = load_exporter(engine).export(network, preprocess.input_size, folder)
    # Drawn pictures do for calibration: how long integers take does not hang on their values.
    drawn = CalibrationSet(draw_golden_inputs(preprocess.input_size), preprocess)
    return exported, quantize(exported, drawn, folder)


def _time(
    one: Exported, other: Exported, preprocess: Preprocess, threads: int, rounds: int
) -> tuple[float, float]:
    """Median milliseconds of each."""
    picture = draw_golden_inputs(preprocess.input_size)[:1]
    runs, times = [], ([], [])  # type: ignore[var-annotated]
    for model in (one, other):
        files = tuple(describe_file(file) for file in model.files)
        target = Target(engine=model.engine, files=files, layout=model.layout, golden_tolerance=1)
        backend = load_backend(model.files, target, threads)
        runs.append((backend, model_input(picture, preprocess, target)))
    for number in range(rounds + 10):
        for (backend, batch), measured in zip(runs, times, strict=True):
            start = time.perf_counter()
            backend.infer(batch)
            if number >= 10:
                measured.append(time.perf_counter() - start)
    for backend, _ in runs:
        backend.close()
    before, after = (statistics.median(measured) * 1000 for measured in times)
    return before, after


if __name__ == "__main__":
    typer.run(main)
