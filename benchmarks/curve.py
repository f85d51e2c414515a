"""How training went: validation accuracy and training loss over the epochs of one or more runs.

    python -m birdedge.benchmarks.curve RUN... --out curve.png

Runs that began where another ended are drawn one after the other.
"""

import csv
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.axes import Axes

METRICS = "metrics.csv"


def main(
    runs: Annotated[list[Path], typer.Argument(exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="The PNG to write.")],
) -> None:
    """Draw the runs into one picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (top, bottom) = plt.subplots(2, sharex=True, figsize=(8, 5.5), layout="constrained")
    start = 0
    for run in runs:
        epochs = max(len(read_metric(run, "val/top1")), 1)
        accuracy = [value * 100 for value in read_metric(run, "val/top1")]
        _draw(top, start, epochs, accuracy, run.name)
        _draw(bottom, start, epochs, read_metric(run, "train/loss"), run.name)
        start += epochs
    top.set_ylabel("validation top-1, %")
    bottom.set_ylabel("training loss, nats")
    bottom.set_xlabel("epochs")
    top.legend(frameon=False)
    for axes in (top, bottom):
        axes.grid(alpha=0.25)
    top.set_ylim(0, 100)
    bottom.set_ylim(bottom=0)
    figure.savefig(out, dpi=120)


def read_metric(run: Path, name: str) -> list[float]:
    """All values of a metric that a run of `birdedge train` logged, in order."""
    with (run / METRICS).open(encoding="utf-8", newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


def _draw(axes: Axes, start: int, epochs: int, values: list[float], label: str) -> None:
    places = [start + epochs * (number + 1) / len(values) for number in range(len(values))]
    axes.plot(places, values, label=label)


if __name__ == "__main__":
    typer.run(main)
