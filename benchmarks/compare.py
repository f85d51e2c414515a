"""Two runs compared: what became slower or less often right, and whether that can be chance."""

from dataclasses import dataclass

from .accuracy import mcnemar
from .results import Report, Row
from .samples import Interval, ratio_between_runs

_ALPHA = 0.05


@dataclass(frozen=True)
class Change:
    """How one contender changed.

    Attributes:
        row: its new figures.
        slower: ratio of its medians, new to old; none where one was not measured.
        too_slow: whether it is surely slower than the budget allows.
        points: top-1, new less old, in points; none where one was not measured.
        chance: the probability of such a change, or a larger one, by chance; none where that cannot
            be said, the photos being others.
        less_right: whether it surely lost more than the budget allows.
        lost: why it has figures no more; none if it has.
    """

    row: Row
    slower: Interval | None = None
    too_slow: bool = False
    points: float | None = None
    chance: float | None = None
    less_right: bool = False
    lost: str | None = None

    @property
    def is_regression(self) -> bool:
        """Whether it must not pass."""
        return self.too_slow or self.less_right or self.lost is not None


def compare(
    old: Report, new: Report, latency_budget: float, accuracy_budget: float
) -> list[Change]:
    """Compare contenders that both runs have.

    Slower is what has its whole interval beyond the budget. Less often right is what lost more
    points than the budget, and by McNemar's test on the same photos not by chance.

    Args:
        old: the run before.
        new: the run to be judged.
        latency_budget: share by which a median may grow.
        accuracy_budget: points of top-1 that may be lost.
    """
    before = {row.key: row for row in old.rows}
    return [
        _change(before[row.key], row, latency_budget, accuracy_budget)
        for row in new.rows
        if row.key in before
    ]


def warnings(old: Report, new: Report) -> list[str]:
    """Why these two runs may say little about each other."""
    found = []
    for what, one, other in (
        ("processor", old.environment.processor, new.environment.processor),
        ("cores", old.environment.cores, new.environment.cores),
        ("photos", old.photos, new.photos),
    ):
        if one != other:
            found.append(f"the {what} changed from {one or 'none'} to {other or 'none'}")
    for name, version in old.environment.packages.items():
        now = new.environment.packages.get(name)
        if now != version:
            found.append(f"{name} changed from {version} to {now or 'none'}")
    for which, report in (("old", old), ("new", new)):
        found += [f"{which} run: {warning}" for warning in report.environment.warnings()]
    peaks = {(peak.engine, peak.kind, peak.threads): peak.gmacs for peak in old.peaks}
    for peak in new.peaks:
        was = peaks.get((peak.engine, peak.kind, peak.threads))
        if was and abs(peak.gmacs / was - 1) > 0.1:
            found.append(
                f"the machine itself does {peak.gmacs / was - 1:+.0%} ({peak.engine} {peak.kind} "
                f"matrix products, {peak.threads} threads)"
            )
    return found


def _change(old: Row, new: Row, latency_budget: float, accuracy_budget: float) -> Change:
    if (old.latency and not new.latency) or (old.accuracy and not new.accuracy):
        return Change(new, lost=new.problem or "not measured")
    slower = None
    if old.latency and new.latency:
        slower = ratio_between_runs(new.latency.rounds, old.latency.rounds)
    points = chance = None
    if old.accuracy and new.accuracy:
        points = (new.accuracy.top1.value - old.accuracy.top1.value) * 100
        ours, theirs = new.accuracy.right, old.accuracy.right
        if len(ours) == len(theirs):
            pairs = list(zip(ours, theirs, strict=True))
            chance = mcnemar(pairs.count(("1", "0")), pairs.count(("0", "1")))
    surely = chance is None or chance < _ALPHA
    return Change(
        new,
        slower,
        too_slow=slower is not None and slower.low > 1 + latency_budget,
        points=points,
        chance=chance,
        less_right=points is not None and -points > accuracy_budget and surely,
    )
