"""Accuracy against latency, one point per target and pruning level."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Point:
    """One target at one pruning level.

    Attributes:
        level: share of the full network's multiply-adds.
        target: its name.
        top1: share of test photos named right.
        low: lower end of its 95 % interval.
        high: upper end.
        milliseconds: median time of one picture.
    """

    level: float
    target: str
    top1: float
    low: float
    high: float
    milliseconds: float


_MARKERS = "osD^vP*X"


def plot_pareto(points: Sequence[Point], path: Path, title: str) -> None:
    """Write the plot as PNG; on the line are those that nothing beats in both.

    Args:
        points: at least one.
        path: the file to write.
        title: name of the network.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    targets = list(dict.fromkeys(point.target for point in points))
    levels = sorted({point.level for point in points}, reverse=True)
    colors = {target: f"C{number}" for number, target in enumerate(targets)}
    markers = dict(zip(levels, cycle(_MARKERS), strict=False))
    best = pareto_front(points)
    axes.plot(
        [point.milliseconds for point in best],
        [point.top1 * 100 for point in best],
        color="0.7",
        zorder=1,
    )
    for point in points:
        top1 = point.top1 * 100
        axes.vlines(
            point.milliseconds,
            point.low * 100,
            point.high * 100,
            color=colors[point.target],
            alpha=0.4,
            zorder=2,
        )
        axes.scatter(
            point.milliseconds,
            top1,
            color=colors[point.target],
            marker=markers[point.level],
            edgecolor="black" if point in best else "none",
            s=60,
            zorder=3,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="minor", labelsize=7)
    axes.set_xlabel("milliseconds per picture (log scale, left is better)")
    axes.set_ylabel("test top-1, % (with 95 % interval)")
    axes.set_title(f"{title}: accuracy and latency by target and pruning level")
    axes.grid(alpha=0.25, which="both")
    by_target = [
        Line2D([], [], color=color, marker="o", linestyle="", label=target)
        for target, color in colors.items()
    ]
    by_level = [
        Line2D([], [], color="0.3", marker=marker, linestyle="", label=f"{level:.0%} of the MACs")
        for level, marker in markers.items()
    ]
    figure.legend(handles=[*by_target, *by_level], loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Those that no other point beats in latency and accuracy at once, fastest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.milliseconds, -point.top1)):
        if not best or point.top1 > best[-1].top1:
            best.append(point)
    return best
