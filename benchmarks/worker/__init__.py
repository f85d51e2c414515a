"""A contender in a process of its own: what crashes, hangs or leaks there harms no other.

`python -m birdedge.benchmarks.worker` is that process; `process.Worker` starts and asks it.
"""

from dataclasses import dataclass
from pathlib import Path

from ..contenders import Contender


@dataclass(frozen=True)
class Job:
    """What a worker is told first.

    Attributes:
        contender: to load.
        cores: that it may use; those that it has if none are named.
    """

    contender: Contender
    cores: frozenset[int]


@dataclass(frozen=True)
class Start:
    """How a worker started: seconds that each part of a cold start took.

    Attributes:
        interpreter: Python itself, and what a worker needs.
        imports: birdedge's own modules and the engine.
        load: reading, checking and compiling the model.
        first: the first inference.
    """

    interpreter: float
    imports: float
    load: float
    first: float

    @property
    def total(self) -> float:
        """From nothing to the first answer."""
        return self.interpreter + self.imports + self.load + self.first


@dataclass(frozen=True)
class TimeInference:
    """Time so many inferences, each alone, after one that is not timed; seconds each."""

    count: int


@dataclass(frozen=True)
class TimeEndToEnd:
    """Time photos from their files' bytes to a name, one after another; seconds each.

    The files are read once; a disk is not what is compared.
    """

    photos: tuple[Path, ...]


@dataclass(frozen=True)
class AskEngine:
    """Have the engine itself say how long so many inferences took; milliseconds each."""

    count: int


@dataclass(frozen=True)
class Answer:
    """Write logits ``[N, classes]`` of fitted pictures ``[N, h, w, 3]``, both ``.npy`` files."""

    pictures: Path
    logits: Path


@dataclass(frozen=True)
class PeakMemory:
    """The most memory that the process has had, in 10^6 bytes."""


Order = TimeInference | TimeEndToEnd | AskEngine | Answer | PeakMemory


@dataclass(frozen=True)
class Progress:
    """Pictures that are answered so far; other replies end an order, this one does not."""

    done: int


@dataclass(frozen=True)
class Failed:
    """Why an order could not be carried out."""

    reason: str
