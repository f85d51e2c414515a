"""What compression wins and costs: every target of some bundles, next to the network in PyTorch.

    python -m birdedge.benchmarks.compression CHECKPOINT BUNDLE... --out DIR

The checkpoint is the full network's, the bundles are made of it, pruned more and less, or of what
was pruned from it and trained on. Latency is measured here, one picture at a time, all of them in
turn, so that a busy machine slows all alike. So is the full network's accuracy, on its test photos;
that of the bundles is their own, of the photos that their manifests name. Writes a table, the same
as JSON, and a plot.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from ..compress.cost import count_macs
from ..compress.photos import Photos, batches, labels_of
from ..compress.verify import REFERENCE, answers, torch_runner, verify
from ..runtime.backends import Pixels, load_backend
from ..runtime.bundle import ModelBundle
from ..runtime.golden import draw_golden_inputs, model_input
from ..runtime.labels import Label
from ..runtime.machine import model_name
from ..runtime.manifest import Accuracy, Target
from ..runtime.threads import MAX_THREADS
from ..train.checkpoint import load_checkpoint
from ..train.model import network_of
from .pareto import Point, plot_pareto

EAGER = "torch eager"

_WARM_UP = 3


@dataclass(frozen=True, kw_only=True)
class Row(Point):
    """One target of one bundle; `EAGER` is the full network in PyTorch.

    Attributes:
        megabytes: of its files, in 10^6 bytes; of its float32 weights for `EAGER`.
        agreement: share of photos with the first answer of the same network in PyTorch.
    """

    megabytes: float
    agreement: float


def main(
    checkpoint: Annotated[Path, typer.Argument(exists=True, help="The full network's.")],
    bundles: Annotated[list[Path], typer.Argument(exists=True, help="Made of it.")],
    out: Annotated[Path, typer.Option(help="Folder for table, JSON and plot.")],
    threads: Annotated[int, typer.Option(min=1, max=MAX_THREADS)] = 2,
    rounds: Annotated[int, typer.Option(min=3)] = 100,
    data: Annotated[
        Path | None, typer.Option(help="The photos, if not where training found them.")
    ] = None,
) -> None:
    """Measure all targets side by side and write what came out."""
    torch.set_num_threads(threads)
    info, weights = load_checkpoint(checkpoint)
    photos = Photos.of(info, data)
    if not photos.test:
        raise typer.BadParameter(f"there are no test photos in {photos.root}")
    network = network_of(info, weights)
    size = info.preprocess.input_size
    macs = count_macs(network, size)
    opened = [ModelBundle.load(folder) for folder in bundles]
    for bundle, folder in zip(opened, bundles, strict=True):
        if _species(bundle.manifest.labels) != _species(info.labels):
            raise typer.BadParameter(f"{folder} knows other species than {checkpoint}")
        for target in bundle.manifest.targets.values():
            asked = target.accuracy.samples if target.accuracy is not None else 0
            if asked != len(photos.test):
                raise typer.BadParameter(
                    f"{folder} was measured on {asked:,} photos, not on {len(photos.test):,}"
                )
    picture = draw_golden_inputs(size)[:1]
    with ExitStack() as stack:
        runs: dict[tuple[int, str], Callable[[], object]] = {
            (-1, EAGER): partial(torch_runner(network, info.preprocess), picture)
        }
        for number, bundle in enumerate(opened):
            for name, target in bundle.manifest.targets.items():
                backend = load_backend(bundle.target_files(name), target, threads)
                stack.callback(backend.close)
                runs[number, name] = partial(backend.infer, _a_picture(bundle, target))
        latency = _latency(runs, rounds)
    megabytes = sum(tensor.nbytes for tensor in weights.values()) / 1e6
    pictures = batches(photos.test, info.preprocess, photos.box_margin)
    logits = answers(network, {}, info.preprocess, pictures)[REFERENCE]
    accuracy = verify(logits, logits, labels_of(photos.test)).accuracy
    rows = [_eager_row(accuracy, megabytes, latency[-1, EAGER])]
    for (number, name), milliseconds in latency.items():
        if number >= 0:
            rows.append(_row(opened[number], name, macs, milliseconds))
    out.mkdir(parents=True, exist_ok=True)
    machine = f"{model_name()}, {threads} threads, one picture at a time, median of {rounds}"
    record = {"machine": machine, "rows": [asdict(row) for row in rows]}
    (out / "compression.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    table = _table(rows, machine)
    (out / "compression.md").write_text(table, encoding="utf-8")
    plot_pareto(rows, out / "pareto.png", info.architecture)
    print(table)


def _species(labels: Iterable[Label]) -> list[str]:
    return [label.scientific_name for label in labels]


def _a_picture(bundle: ModelBundle, target: Target) -> Pixels:
    """One, as large as the bundle wants it: training may have given it another size."""
    preprocess = bundle.manifest.preprocess
    return model_input(draw_golden_inputs(preprocess.input_size)[:1], preprocess, target)


def _latency(
    runs: Mapping[tuple[int, str], Callable[[], object]], rounds: int
) -> dict[tuple[int, str], float]:
    """Median milliseconds of each, taken in turn."""
    times: dict[tuple[int, str], list[float]] = {key: [] for key in runs}
    for number in range(_WARM_UP + rounds):
        for key, run in runs.items():
            # The first run after another engine's finds its caches cold; a camera's does not.
            run()
            start = time.perf_counter()
            run()
            if number >= _WARM_UP:
                times[key].append(time.perf_counter() - start)
    return {key: statistics.median(seconds) * 1000 for key, seconds in times.items()}


def _eager_row(accuracy: Accuracy, megabytes: float, milliseconds: float) -> Row:
    return Row(
        level=1.0,
        target=EAGER,
        megabytes=megabytes,
        top1=accuracy.top1,
        low=accuracy.low,
        high=accuracy.high,
        agreement=1.0,
        milliseconds=milliseconds,
    )


def _row(bundle: ModelBundle, name: str, macs: int, milliseconds: float) -> Row:
    target = bundle.manifest.targets[name]
    accuracy = target.accuracy
    assert accuracy is not None  # every bundle of `birdedge compress` says it
    compression: dict[str, Any] = bundle.manifest.provenance["compression"]
    figures = compression["figures"][name]
    return Row(
        level=compression["macs"] / macs,
        target=name,
        megabytes=sum(entry.bytes for entry in target.files) / 1e6,
        top1=accuracy.top1,
        low=accuracy.low,
        high=accuracy.high,
        agreement=(figures["test"] if "test" in figures else figures["val"])["agreement"],
        milliseconds=milliseconds,
    )


def _table(rows: list[Row], machine: str) -> str:
    eager = rows[0]
    lines = [
        "| MACs | target | MB | test top-1 [95 % interval] | lost | agreement | ms | speed-up |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.level:.0%} | {row.target} | {row.megabytes:.1f} | "
        f"{row.top1:.1%} [{row.low:.1%}, {row.high:.1%}] | "
        f"{(eager.top1 - row.top1) * 100:+.1f} | {row.agreement:.1%} | "
        f"{row.milliseconds:.1f} | {eager.milliseconds / row.milliseconds:.1f} |"
        for row in rows
    ]
    slower = [
        f"{row.target} at {row.level:.0%}" for row in rows if _is_slower_than_its_float(row, rows)
    ]
    lines += [
        "",
        f"{machine}. Points are lost, and speed is gained, against the full network in PyTorch; "
        "agreement is with the same network in PyTorch.",
    ]
    if slower:
        lines.append(f"Not faster than its own float version here: {', '.join(slower)}.")
    return "\n".join(lines) + "\n"


def _is_slower_than_its_float(row: Row, rows: list[Row]) -> bool:
    engine, _, kind = row.target.partition("-")
    floats = [
        other
        for other in rows
        if other.level == row.level
        and other.target.startswith(f"{engine}-fp")
        and other.target != row.target
    ]
    return kind == "int8" and any(row.milliseconds >= other.milliseconds for other in floats)


if __name__ == "__main__":
    typer.run(main)
