"""Two runs compared: what became slower or less often right, and whether that can be chance."""

from dataclasses import dataclass
from functools import partial

from ..runtime.errors import DataError
from .accuracy import Accuracy, mcnemar
from .results import Report, Row
from .samples import Interval, ratio_between_runs

_ALPHA = 0.05


@dataclass(frozen=True)
class Change:
    """How one contender changed.

    Attributes:
        row: its new figures; where it has none, its old ones.
        slower: ratio of its medians, new to old; none where one was not measured.
        too_slow: whether it is surely slower than the budget allows.
        points: top-1, new less old, in points; none where one was not measured.
        chance: the probability of such a change, or a larger one, by chance; none where there is no
            accuracy.
        less_right: whether it surely lost more than the budget allows.
        lost: why it has figures no more, or not to the end; none if it has.
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
        """Whether it must not pass; what is there to be compared with may change as it likes."""
        return self.row.is_ours and (self.too_slow or self.less_right or self.lost is not None)


def compare(
    old: Report, new: Report, latency_budget: float, accuracy_budget: float
) -> list[Change]:
    """Compare the contenders of a run with the same ones in a later run.

    One that the later run has not, or not to the end, is lost. Slower is what has its whole
    interval beyond the budget. Less often right is what lost more points than the budget, and not
    by chance: by McNemar's test on the same photos, by Fisher's on others. An accuracy that the new
    run was not asked for is not missed.

    Args:
        old: the run before.
        new: the run to be judged.
        latency_budget: share by which a median may grow.
        accuracy_budget: points of top-1 that may be lost.

    Raises:
        DataError: the reports have no contender in common.
    """
    after = {row.key: row for row in new.rows}
    if not any(row.key in after for row in old.rows):
        raise DataError("these reports have no contender in common")
    same_photos = old.photos_digest == new.photos_digest != ""
    judge = partial(
        _change,
        same_photos=same_photos,
        with_photos=bool(new.photos),
        latency_budget=latency_budget,
        accuracy_budget=accuracy_budget,
    )
    return [judge(row, after.get(row.key)) for row in old.rows if row.latency or row.accuracy]


def warnings(old: Report, new: Report) -> list[str]:
    """Why these two runs may say little about each other."""
    found = []
    for what, one, other in (
        ("processor", old.environment.processor, new.environment.processor),
        ("cores", old.environment.cores, new.environment.cores),
        ("photos", old.photos, new.photos),
        ("photos' digest", old.photos_digest[:8], new.photos_digest[:8]),
    ):
        if one != other:
            found.append(f"the {what} changed from {one or 'none'} to {other or 'none'}")
    for name, version in old.environment.packages.items():
        now = new.environment.packages.get(name)
        if now != version:
            found.append(f"{name} changed from {version} to {now or 'none'}")
    for which, report in (("old", old), ("new", new)):
        found += [f"{which} run: {warning}" for warning in report.environment.warnings()]
        if report.interrupted:
            found.append(f"{which} run: it was ended before it was done")
    peaks = {(peak.engine, peak.kind, peak.threads): peak.gmacs for peak in old.peaks}
    for peak in new.peaks:
        was = peaks.get((peak.engine, peak.kind, peak.threads))
        if was and abs(peak.gmacs / was - 1) > 0.1:
            found.append(
                f"the machine itself does {peak.gmacs / was - 1:+.0%} ({peak.engine} {peak.kind} "
                f"matrix products, {peak.threads} threads)"
            )
    return found


def _change(
    old: Row,
    new: Row | None,
    *,
    same_photos: bool,
    with_photos: bool,
    latency_budget: float,
    accuracy_budget: float,
) -> Change:
    if new is None:
        return Change(old, lost="it did not take part")
    slower = points = chance = None
    if old.latency and new.latency:
        slower = ratio_between_runs(new.latency.rounds, old.latency.rounds)
    if old.accuracy and new.accuracy:
        points = (new.accuracy.top1.value - old.accuracy.top1.value) * 100
        chance = (
            _chance_on_the_same(old.accuracy, new.accuracy)
            if same_photos
            else _chance_on_others(old.accuracy, new.accuracy)
        )
    gone = (old.latency and not new.latency) or (with_photos and old.accuracy and not new.accuracy)
    return Change(
        new,
        slower,
        too_slow=slower is not None and slower.low > 1 + latency_budget,
        points=points,
        chance=chance,
        less_right=(
            points is not None
            and chance is not None
            and -points > accuracy_budget
            and chance < _ALPHA
        ),
        lost=(new.problem if new.problem != old.problem else None)
        or ("not measured" if gone else None),
    )


def _chance_on_the_same(old: Accuracy, new: Accuracy) -> float:
    """McNemar's exact test."""
    pairs = list(zip(new.right, old.right, strict=True))
    return mcnemar(pairs.count(("1", "0")), pairs.count(("0", "1")))


def _chance_on_others(old: Accuracy, new: Accuracy) -> float:
    """Fisher's exact test of two shares."""
    from scipy.stats import fisher_exact

    table = [[one.right.count("1"), one.right.count("0")] for one in (old, new)]
    return float(fisher_exact(table).pvalue)
