"""What a run of `birdedge bench` found: as it is written to JSON, and read again."""

import re
import statistics
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ..runtime.durable import atomic_write
from ..runtime.errors import DataError
from .accuracy import Accuracy
from .contenders import BIRDEDGE, name_of
from .environment import Environment
from .latency import Timing
from .samples import Interval, median, percentile, ratio

SCHEMA_VERSION = 1

_SAMPLES = re.compile(r"\[[\s\d.,e-]+\]")
"""Lists of numbers alone, which are easier to read on one line."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Latency(_Part):
    """How long a contender takes; times in milliseconds.

    Attributes:
        p50: median of an inference, with its bootstrap interval.
        p90: percentile, as are the two after it.
        p95: see there.
        p99: see there.
        ratio: of its median to the reference's, in the same rounds.
        images_per_second: that it names one after another, by the median.
        end_to_end: median from a photo's bytes to a name; none where that was not measured.
        own: median that the engine itself tells; none where it tells nothing.
        tool: median that the engine's own bench tool finds, likewise.
        tool_name: of that tool.
        beside_tool: median of ours just before and after; a machine may be faster or slower by then
            than it was in the rounds.
        rounds: all that was measured, by round, to the microsecond.
    """

    p50: Interval
    p90: float
    p95: float
    p99: float
    ratio: Interval | None
    images_per_second: float
    end_to_end: Interval | None
    own: float | None
    tool: float | None = None
    tool_name: str | None = None
    beside_tool: float | None = None
    rounds: list[list[float]]


class ColdStart(_Part):
    """Medians of fresh processes, in seconds; the disk's cache is warm.

    Attributes:
        interpreter: Python itself.
        imports: of birdedge and the engine.
        load: the model.
        first: inference.
        total: of these four.
    """

    interpreter: float
    imports: float
    load: float
    first: float
    total: float


class Row(_Part):
    """One contender's figures; what is none was not or could not be measured.

    Attributes:
        model: the bundle's id.
        target: of it.
        runner: ``birdedge``, or what it is compared with.
        threads: for one inference.
        batch: pictures in one inference.
        problem: why it was not measured, or not to the end.
        digest: of the bundle's manifest, and with it of every file.
        megabytes: of the target's files, in 10^6 bytes.
        latency: how long it takes.
        cold_start: how long until the first answer.
        peak_megabytes: the most memory that its process had.
        joules: that the machine took for one inference.
        stable: whether inferences took as long as those before when the rounds began.
        macs: multiply-adds of one picture, where the bundle tells.
        share_of_peak: of what a matrix product of its engine's kind does on this machine.
        accuracy: how often it is right.
        robustness: top-1 by corruption and severity from 0, the same photos as they are.
    """

    model: str
    target: str
    runner: str
    threads: int
    batch: int
    problem: str | None = None
    digest: str = ""
    megabytes: float | None = None
    latency: Latency | None = None
    cold_start: ColdStart | None = None
    peak_megabytes: float | None = None
    joules: float | None = None
    stable: bool = True
    macs: int | None = None
    share_of_peak: float | None = None
    accuracy: Accuracy | None = None
    robustness: dict[str, list[float]] | None = None

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What makes it the same in another run."""
        return self.model, self.target, self.runner, self.threads, self.batch

    @property
    def name(self) -> str:
        """As a contender is called, apart from its model."""
        return name_of(self.target, self.runner, self.batch)

    @property
    def title(self) -> str:
        """As it is called in a sentence."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.model} {self.name} with {threads}"

    @property
    def is_ours(self) -> bool:
        """Whether it runs as on the device, rather than to be compared with."""
        return self.runner == BIRDEDGE


class Peak(_Part):
    """The most that a matrix product does: billions of multiply-adds in a second.

    Attributes:
        engine: whose library.
        kind: ``fp32`` or ``int8``.
        threads: that it used.
        gmacs: the best of several.
    """

    engine: str
    kind: str
    threads: int
    gmacs: float


class Report(_Part):
    """One run.

    Attributes:
        schema_version: of this format.
        created: when, in UTC.
        environment: the machine.
        photos: how many, and of which folder; empty without.
        photos_digest: of their names and sizes.
        settings: how thoroughly it was measured.
        peaks: what the machine can do at all.
        energy: what told the energy; empty where nothing does.
        rows: the contenders; the first that has a latency is the reference.
        interrupted: whether it was ended before it was done.
    """

    schema_version: int = SCHEMA_VERSION
    created: datetime
    environment: Environment
    photos: str = ""
    photos_digest: str = ""
    settings: dict[str, bool | int | float | str | list[int] | None] = {}
    peaks: list[Peak] = []
    energy: str = ""
    rows: list[Row]
    interrupted: bool = False

    def drop(self, row: Row) -> float | None:
        """Points of top-1 that a row is below the best other, on photos that both models know.

        None where it has no accuracy; 0 where none is better.
        """
        if row.accuracy is None:
            return None
        others = [other.accuracy for other in self.rows if other.accuracy]
        return max(_points_below(row.accuracy, other) for other in others)


def latency_of(timing: Timing) -> Latency | None:
    """A timing's figures; none where there is no full round."""
    rounds = [[sample * 1000 for sample in samples] for samples in timing.rounds]
    if not rounds:
        return None
    middle = median(rounds)
    return Latency(
        p50=middle,
        p90=percentile(rounds, 90),
        p95=percentile(rounds, 95),
        p99=percentile(rounds, 99),
        ratio=ratio(timing.rounds, timing.reference) if timing.reference else None,
        images_per_second=timing.contender.batch * 1000 / middle.value,
        end_to_end=_milliseconds(timing.end_to_end),
        own=statistics.median(timing.own) * 1000 if timing.own else None,
        tool=timing.tool.milliseconds if timing.tool else None,
        tool_name=timing.tool.tool if timing.tool else None,
        beside_tool=timing.tool.ours if timing.tool else None,
        rounds=[[round(sample, 3) for sample in samples] for samples in rounds],
    )


def cold_start_of(timing: Timing) -> ColdStart | None:
    """The median of each part; none where none was measured."""
    if not timing.starts:
        return None
    parts = {
        part: statistics.median(getattr(start, part) for start in timing.starts)
        for part in ColdStart.model_fields
    }
    return ColdStart(**parts)


def write_report(report: Report, path: Path) -> None:
    """Write a report, whole or not at all.

    Raises:
        OSError: it cannot be written there.
    """
    text = _SAMPLES.sub(lambda found: " ".join(found[0].split()), report.model_dump_json(indent=1))
    with atomic_write(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")


def read_report(path: Path) -> Report:
    """Read a report.

    Raises:
        DataError: there is none, or it is none of this format.
    """
    try:
        return Report.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no report of `birdedge bench`: not a text file") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        raise DataError(
            f"{path} is no report of `birdedge bench`: {where}: {first['msg']}"
        ) from error


def now() -> datetime:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def _points_below(accuracy: Accuracy, other: Accuracy) -> float:
    pairs = [
        (int(theirs) - int(ours))
        for ours, theirs in zip(accuracy.right, other.right, strict=True)
        if "-" not in (ours, theirs)
    ]
    return 100 * sum(pairs) / len(pairs) if pairs else 0.0


def _milliseconds(rounds: list[list[float]]) -> Interval | None:
    return median([[sample * 1000 for sample in samples] for samples in rounds]) if rounds else None
