"""The plots of a report: drawn once, as SVG for the page and as PNG for everything else."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..pareto import Point, pareto_front
from ..results import Report, Row

_MARKERS = "osD^vP*X"


def draw_all(report: Report) -> Iterator[tuple[str, str, Any]]:
    """Title, explanation and figure of each plot that a report has figures for."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "birdedge"
    plots: list[tuple[str, str, Callable[[Report, Any], bool]]] = [
        (
            "Accuracy and latency",
            "Each point is a target, judged on photos of species that it knows; on the line are "
            "those that none beats in both. Bars are 95 % intervals. Left and up is better.",
            _pareto,
        ),
        (
            "Latency",
            "All samples of each contender: the box holds the middle half, whiskers reach from the "
            "1st to the 99th percentile, the line is the median.",
            _distributions,
        ),
        (
            "Cold start",
            "From nothing to the first answer in a fresh process, the disk's cache being warm; "
            "medians of the parts.",
            _cold_starts,
        ),
        ("Memory", "The most that the contender's process had in memory.", _memory),
        (
            "Robustness",
            "Accuracy on photos made worse, in three severities; 0 is as they are.",
            _robustness,
        ),
    ]
    for title, explanation, draw in plots:
        figure = plt.figure(layout="constrained")
        if draw(report, figure):
            yield title, explanation, figure
        plt.close(figure)


def as_svg(figure: Any) -> str:
    """A figure as an element of a page."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def write_png(report: Report, path: Path) -> None:
    """Write the first plot as a picture; nothing where there is none."""
    for _, _, figure in draw_all(report):
        figure.savefig(path, dpi=120)
        return


def _pareto(report: Report, figure: Any) -> bool:
    rows = [row for row in report.rows if row.accuracy and row.latency and row.batch == 1]
    if not rows:
        return False
    figure.set_size_inches(9, 5)
    axes = figure.subplots()
    points = [_point(row) for row in rows]
    front = pareto_front(points)
    axes.plot([p.milliseconds for p in front], [p.top1 * 100 for p in front], color="0.7", zorder=1)
    models = list(dict.fromkeys(row.model for row in rows))
    targets = list(dict.fromkeys(row.target for row in rows))
    for row, point in zip(rows, points, strict=True):
        assert row.latency is not None
        x, y = point.milliseconds, point.top1 * 100
        p50 = row.latency.p50
        axes.errorbar(
            x, y,
            xerr=[[x - p50.low], [p50.high - x]],
            yerr=[[max(0, y - point.low * 100)], [max(0, point.high * 100 - y)]],
            marker=_MARKERS[models.index(row.model) % len(_MARKERS)],
            color=f"C{targets.index(row.target)}",
            markerfacecolor=None if row.threads == 1 else "white",
            elinewidth=0.8, zorder=2,
        )  # fmt: skip
    _logarithmic(axes)
    axes.set(xlabel="median milliseconds per picture (log scale)", ylabel="top-1, %")
    axes.grid(alpha=0.25, which="both")
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=f"C{n}", marker="o", linestyle="", label=target)
        for n, target in enumerate(targets)
    ]
    handles += [
        Line2D([], [], color="0.3", marker=_MARKERS[n % len(_MARKERS)], linestyle="", label=model)
        for n, model in enumerate(models)
    ]
    if any(row.threads > 1 for row in rows):
        handles.append(
            Line2D(
                [], [], color="0.3", marker="o", markerfacecolor="white", linestyle="",
                label="more than one thread",
            )
        )  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return True


def _distributions(report: Report, figure: Any) -> bool:
    rows = [row for row in report.rows if row.latency]
    if not rows:
        return False
    axes = _bars(figure, rows)
    samples = [np.concatenate(row.latency.rounds) for row in rows if row.latency]
    axes.boxplot(
        samples, positions=range(len(rows)), orientation="horizontal", whis=(1, 99), widths=0.6,
        flierprops={"markersize": 2, "alpha": 0.4},
    )  # fmt: skip
    _name(axes, rows)
    _logarithmic(axes)
    axes.set_xlabel("milliseconds per inference (log scale)")
    axes.grid(alpha=0.25, axis="x", which="both")
    return True


def _cold_starts(report: Report, figure: Any) -> bool:
    rows = [row for row in report.rows if row.cold_start]
    if not rows:
        return False
    axes = _bars(figure, rows)
    left = np.zeros(len(rows))
    for part in ("interpreter", "imports", "load", "first"):
        values = np.array([getattr(row.cold_start, part) for row in rows])
        axes.barh(range(len(rows)), values, left=left, label=part, height=0.6)
        left += values
    _name(axes, rows)
    axes.set_xlabel("seconds")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    axes.grid(alpha=0.25, axis="x")
    return True


def _memory(report: Report, figure: Any) -> bool:
    rows = [row for row in report.rows if row.peak_megabytes]
    if not rows:
        return False
    axes = _bars(figure, rows)
    axes.barh(range(len(rows)), [row.peak_megabytes or 0 for row in rows], height=0.6)
    _name(axes, rows)
    axes.set_xlabel("megabytes")
    axes.grid(alpha=0.25, axis="x")
    return True


def _robustness(report: Report, figure: Any) -> bool:
    rows = list({(row.model, row.target): row for row in report.rows if row.robustness}.values())
    if not rows:
        return False
    kinds = list(rows[0].robustness or {})
    figure.set_size_inches(9, 3.2)
    for axes, kind in zip(
        figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0], kinds, strict=True
    ):
        for number, row in enumerate(rows):
            assert row.robustness is not None
            levels = row.robustness.get(kind, [])
            axes.plot(
                range(len(levels)), [100 * level for level in levels],
                marker=_MARKERS[number % len(_MARKERS)], markersize=4,
                label=f"{row.model} {row.target}" if kind == kinds[0] else None,
            )  # fmt: skip
        axes.set_title(kind, fontsize=9)
        axes.set_xticks(range(4))
        axes.grid(alpha=0.25)
    figure.axes[0].set_ylabel("top-1, %")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return True


def _logarithmic(axes: Any) -> None:
    """Milliseconds on a log scale, with as many numbers as do not run into each other."""
    from matplotlib.ticker import LogLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 3, 5, 7)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")


def _bars(figure: Any, rows: list[Row]) -> Any:
    figure.set_size_inches(9, 1.4 + 0.26 * len(rows))
    return figure.subplots()


def _name(axes: Any, rows: list[Row]) -> None:
    """Rows from above to below, each with its name; models are named where there are several."""
    several = len({row.model for row in rows}) > 1
    names = [
        f"{row.model + '  ' if several else ''}{row.name}, {row.threads} "
        f"thread{'s' if row.threads > 1 else ''}"
        for row in rows
    ]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.invert_yaxis()


def _point(row: Row) -> Point:
    assert row.accuracy is not None and row.latency is not None
    top1 = row.accuracy.top1
    return Point(
        level=1.0,
        target=row.target,
        top1=top1.value,
        low=top1.low,
        high=top1.high,
        milliseconds=row.latency.p50.value,
    )
