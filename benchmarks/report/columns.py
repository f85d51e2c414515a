"""The columns of a report's tables: what each is called, and how a row's figure is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..accuracy import Accuracy
from ..results import Latency, Report, Row
from ..samples import Interval

NONE = "-"
"""Where a contender has no figure."""

LEFT = ("model", "target", "tool")
"""Columns of words; all others are numbers."""

Column = Callable[[Row], str]

_BRIEF = ("size MB", "top-1", "drop", "p50 ms", "images/s", "start s", "peak MB")

_TOOL_AGREES = 0.1
"""How far an engine's own tool may be from our figure until that is said."""


@dataclass(frozen=True)
class Grid:
    """A table of a report.

    Attributes:
        title: above it.
        explanation: of its columns.
        head: their names.
        rows: cells in the same order.
        peers: for each row, whether it is there to be compared with.
    """

    title: str
    explanation: str
    head: list[str]
    rows: list[list[str]]
    peers: list[bool]


def overview(report: Report, *, brief: bool = False, peers: bool = True) -> Grid:
    """The table that answers most questions.

    Args:
        report: a run's.
        brief: with the columns alone that most people ask for.
        peers: with those that are there to be compared with.
    """
    columns: dict[str, Column] = {
        "size MB": lambda row: _number(row.megabytes, 1),
        "top-1": _of_accuracy(lambda figures: _share(figures.top1)),
        "top-5": _of_accuracy(lambda figures: f"{figures.top5.value:.1%}"),
        "drop": lambda row: _drop(report.drop(row)),
        "agreement": _of_accuracy(
            lambda figures: f"{figures.agreement.value:.1%}" if figures.agreement else NONE
        ),
        "p50 ms": _of_latency(lambda figures: _interval(figures.p50, 1)),
        "p95": _of_latency(lambda figures: _number(figures.p95, 1)),
        "p99": _of_latency(lambda figures: _number(figures.p99, 1)),
        "ratio": _of_latency(
            lambda figures: _interval(figures.ratio, 2) if figures.ratio else NONE
        ),
        "images/s": _of_latency(lambda figures: _number(figures.images_per_second, 1)),
        "load s": lambda row: _number(row.cold_start.load if row.cold_start else None, 2),
        "start s": lambda row: _number(row.cold_start.total if row.cold_start else None, 2),
        "peak MB": lambda row: _number(row.peak_megabytes, 0),
        "of limit": lambda row: f"{row.share_of_peak:.0%}" if row.share_of_peak else NONE,
        "mJ": lambda row: _number(row.joules * 1000 if row.joules else None, 0),
    }
    return _grid(
        "Overview",
        "Size, and memory at its most, in megabytes; drop in points of top-1 below the best, on "
        "photos of species that both know; agreement with the first row's answers; milliseconds of "
        "one inference, their median with its interval and its ratio to the first row's; load is "
        "reading the model, start all from nothing to the first answer; "
        "of limit is the share of what a matrix product does on this machine.",
        [row for row in report.rows if row.is_ours or peers],
        {name: column for name, column in columns.items() if name in _BRIEF or not brief},
    )


def details(report: Report) -> list[Grid]:
    """Tables for those who want to know more; those without any figure are left out."""
    accuracy = _grid(
        "Accuracy in detail",
        "Of photos of species that the model knows. Macro recall is the mean over species; ECE the "
        "expected calibration error; named the share that is not called unknown, right of named "
        "how often that name is right. Gained and lost are photos that this target gets right and "
        "the first row's does not, and the other way round; by chance is how probable so uneven a "
        "split would be (McNemar's exact test). AUROC says how well photos without birds are told "
        "from these.",
        list({(row.model, row.target): row for row in report.rows if row.accuracy}.values()),
        {
            "photos": _of_accuracy(lambda figures: f"{figures.photos:,}"),
            "top-5": _of_accuracy(lambda figures: _share(figures.top5)),
            "macro recall": _of_accuracy(lambda figures: f"{figures.macro_recall:.1%}"),
            "ECE": _of_accuracy(lambda figures: f"{figures.calibration_error:.3f}"),
            "named": _of_accuracy(lambda figures: f"{figures.named:.1%}"),
            "right of named": _of_accuracy(
                lambda figures: (
                    NONE if figures.right_of_named is None else f"{figures.right_of_named:.1%}"
                )
            ),
            "agreement": _of_accuracy(
                lambda figures: _share(figures.agreement) if figures.agreement else NONE
            ),
            "gained": _of_accuracy(lambda figures: _count(figures.gained)),
            "lost": _of_accuracy(lambda figures: _count(figures.lost)),
            "by chance": _of_accuracy(lambda figures: _number(figures.mcnemar, 2)),
            "AUROC": _of_accuracy(lambda figures: _number(figures.auroc, 3)),
        },
        threads=False,
    )
    latency = _grid(
        "Latency in detail",
        "Milliseconds. End to end is from a photo's bytes to a name; engine is what its own "
        "clock says of the same loop; tool is the median that the engine's own bench tool finds, "
        "which ran once all rounds were done, and beside it is ours just before and after.",
        [row for row in report.rows if row.latency],
        {
            "p50": _of_latency(lambda figures: _interval(figures.p50, 2)),
            "p90": _of_latency(lambda figures: _number(figures.p90, 2)),
            "end to end": _of_latency(
                lambda figures: _interval(figures.end_to_end, 1) if figures.end_to_end else NONE
            ),
            "engine": _of_latency(lambda figures: _number(figures.own, 2)),
            "tool": _of_latency(lambda figures: figures.tool_name or NONE),
            "tool ms": _of_latency(lambda figures: _number(figures.tool, 2)),
            "beside it": _of_latency(lambda figures: _number(figures.beside_tool, 2)),
            "samples": _of_latency(lambda figures: f"{sum(map(len, figures.rounds)):,}"),
        },
    )
    return [grid for grid in (accuracy, latency) if grid.rows]


def notes_of(report: Report, *, peers: bool = True) -> list[str]:
    """What must be known to read the tables; warnings begin with the word.

    Args:
        report: that the tables are of.
        peers: whether they show peers, too: then what engines' own tools find is told.
    """
    machine = report.environment
    features = ", ".join(machine.features) or "no vector instructions"
    notes = [
        f"{machine.processor}, {machine.cores} cores, {features}; {machine.system}, Python "
        f"{machine.python}; "
        + ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    ]
    if report.photos:
        notes.append(report.photos)
    notes.append(
        "Intervals are 95 %: Wilson's for shares, a bootstrap over rounds for medians and ratios."
    )
    notes += [f"WARNING: {warning}" for warning in machine.warnings()]
    if report.interrupted:
        notes.append("WARNING: this run was ended before it was done")
    for row in report.rows:
        if not (peers or row.is_ours):
            continue
        if row.problem:
            notes.append(f"{row.title}: {row.problem}")
        if row.latency and not row.stable:
            notes.append(f"WARNING: {row.title}: it was not stable yet when the rounds began")
        figures = row.latency
        if peers and figures and figures.tool:
            ours = figures.beside_tool or figures.p50.value
            if abs(figures.tool / ours - 1) > _TOOL_AGREES:
                notes.append(
                    f"WARNING: {row.title}: {figures.tool_name} finds {figures.tool:.1f} ms, "
                    f"not {ours:.1f}"
                )
    return notes


def _grid(
    title: str,
    explanation: str,
    rows: list[Row],
    columns: Mapping[str, Column],
    *,
    threads: bool = True,
) -> Grid:
    """Columns in which nobody has a figure are left out."""
    who: dict[str, Column] = {"model": lambda row: row.model, "target": lambda row: row.name}
    if threads:
        who["threads"] = lambda row: str(row.threads)
    cells = {name: [column(row) for row in rows] for name, column in {**who, **columns}.items()}
    filled = {name: column for name, column in cells.items() if set(column) != {NONE}}
    return Grid(
        title,
        explanation,
        list(filled),
        [list(row) for row in zip(*filled.values(), strict=True)],
        [not row.is_ours for row in rows],
    )


def _of_accuracy(text: Callable[[Accuracy], str]) -> Column:
    return lambda row: text(row.accuracy) if row.accuracy else NONE


def _of_latency(text: Callable[[Latency], str]) -> Column:
    return lambda row: text(row.latency) if row.latency else NONE


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def _count(value: int | None) -> str:
    return NONE if value is None else str(value)


def _interval(interval: Interval, digits: int) -> str:
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _share(share: Interval) -> str:
    return f"{share.value:.1%} [{share.low * 100:.1f}, {share.high * 100:.1f}]"


def _drop(points: float | None) -> str:
    if points is None:
        return NONE
    return f"-{points:.1f}" if round(points, 1) else "0.0"
