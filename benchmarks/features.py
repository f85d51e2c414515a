"""What the second output costs: each target with its feature map against the same one without.

    python -m birdedge.benchmarks.features CHECKPOINT

They run in turn, one picture at a time: the one without, the one with the map as a camera asks it,
for logits alone, and again as for a class activation map, for both. Ratios are of medians.
"""

import statistics
import tempfile
import time
from contextlib import ExitStack
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

_WARM_UP = 10


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
                without_it, unasked, asked = _time(one, other, info.preprocess, threads, rounds)
                print(
                    f"{without_it:7.2f} ms -> {unasked:6.2f} ms  {unasked / without_it:.3f} x "
                    f"(at most 1.03); with the map given {asked / without_it:.3f} x"
                )


def _make(
    engine: str, network: nn.Module, preprocess: Preprocess, folder: Path
) -> tuple[Exported, Exported]:
    exported = load_exporter(engine).export(network, preprocess.input_size, folder)
    # Drawn pictures do for calibration: how long integers take does not hang on their values.
    drawn = CalibrationSet(draw_golden_inputs(preprocess.input_size), preprocess)
    return exported, quantize(exported, drawn, folder)


def _time(
    one: Exported, other: Exported, preprocess: Preprocess, threads: int, rounds: int
) -> tuple[float, ...]:
    """Median milliseconds of logits without a map, with it but unasked, and of both."""
    picture = draw_golden_inputs(preprocess.input_size)[:1]
    with ExitStack() as closing:
        backends = []
        for model, features in ((one, False), (other, True)):
            target = Target(
                engine=model.engine,
                files=tuple(describe_file(file) for file in model.files),
                layout=model.layout,
                features=features,
                golden_tolerance=1,
            )
            backends.append(load_backend(model.files, target, threads))
            closing.callback(backends[-1].close)
        plain, both = backends
        batch = model_input(picture, preprocess, target)
        runs = (plain.infer, both.infer, both.infer_with_features)
        times: tuple[list[float], ...] = ([], [], [])
        for number in range(rounds + _WARM_UP):
            for run, measured in zip(runs, times, strict=True):
                # The first run after another's finds its caches cold; a camera's does not.
                run(batch)
                start = time.perf_counter()
                run(batch)
                if number >= _WARM_UP:
                    measured.append(time.perf_counter() - start)
    return tuple(statistics.median(measured) * 1000 for measured in times)


if __name__ == "__main__":
    typer.run(main)
