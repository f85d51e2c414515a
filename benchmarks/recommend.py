"""Which target to take on this machine, and why; what `--target auto` then takes."""

from dataclasses import dataclass
from pathlib import Path

from ..runtime.bundle import ModelBundle
from ..runtime.selection import remember
from .results import Report, Row


@dataclass(frozen=True)
class Recommendation:
    """A choice, and its reasons.

    Attributes:
        row: what to take; none if nothing will do.
        reasons: a sentence for each contender that was in question.
    """

    row: Row | None
    reasons: tuple[str, ...]


def recommend(
    report: Report, max_drop: float, latency_ms: float | None, threads: int | None = None
) -> Recommendation:
    """The fastest target that loses little accuracy and is fast enough.

    Args:
        report: a run's.
        max_drop: points of top-1 that it may be below the best one.
        latency_ms: that 95 % of its inferences may take at most; anything if none.
        threads: count that it must have; any if none.
    """
    rows = [
        row
        for row in report.rows
        if row.is_ours and row.batch == 1 and threads in (None, row.threads)
    ]
    judged = any(row.accuracy for row in rows)
    fit: list[Row] = []
    reasons = []
    for row in rows:
        why = _refusal(row, report.drop(row) if judged else 0.0, max_drop, latency_ms)
        if why is None:
            fit.append(row)
        else:
            reasons.append(f"not {row.title}: {why}")
    chosen = min(fit, key=_median, default=None)
    if chosen is not None:
        reasons.insert(0, _praise(chosen, fit, report.drop(chosen)))
    return Recommendation(chosen, tuple(reasons))


def take(
    report: Report, folders: list[Path], max_drop: float, latency_ms: float | None
) -> list[str]:
    """Have `--target auto` take what is recommended, for each bundle and count of threads.

    Returns:
        What it takes from now on, in words.
    """
    taken = []
    for bundle in map(ModelBundle.load, folders):
        own = [row for row in report.rows if row.model == bundle.manifest.id]
        for threads in sorted({row.threads for row in own}):
            # Against the best of all bundles, or it would be another promise than the one given.
            choice = recommend(report, max_drop, latency_ms, threads).row
            if choice is not None and choice.model == bundle.manifest.id:
                remember(bundle, threads, choice.target)
                taken.append(choice.title)
    return taken


def _refusal(row: Row, drop: float | None, max_drop: float, latency_ms: float | None) -> str | None:
    """Why a contender will not do; none if it will."""
    if row.problem is not None:
        return row.problem
    if row.latency is None:
        return "not measured"
    if drop is None:
        return "its accuracy was not measured"
    # A share of so many photos is no round number.
    if drop > max_drop + 1e-9:
        return f"{drop:.1f} points less accurate than the best, {max_drop:g} allowed"
    if latency_ms is not None and row.latency.p95 > latency_ms:
        return (
            f"one inference in twenty takes over {row.latency.p95:.0f} ms, {latency_ms:g} allowed"
        )
    return None


def _praise(chosen: Row, fit: list[Row], drop: float | None) -> str:
    assert chosen.latency is not None
    p50 = chosen.latency.p50
    text = f"{chosen.title}: {p50.value:.1f} ms"
    if chosen.accuracy is None:
        text += ", judged by speed alone"
    else:
        text += f", {chosen.accuracy.top1.value:.1%} right"
        text += f" ({drop:.1f} points below the best)" if drop else ", none is better"
    equal = [
        row.title
        for row in fit
        if row is not chosen and row.latency and row.latency.p50.low <= p50.high
    ]
    if equal:
        text += f"; not surely faster than {', '.join(equal)}"
    return text


def _median(row: Row) -> float:
    assert row.latency is not None
    return row.latency.p50.value
