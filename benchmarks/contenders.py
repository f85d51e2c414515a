"""Who takes part in a comparison: one way to run one model, with so many threads and pictures."""

from dataclasses import dataclass
from pathlib import Path

BIRDEDGE = "birdedge"
"""The runner that goes through birdedge's own seam; see `runners`."""


@dataclass(frozen=True)
class Contender:
    """One way to run one model.

    Attributes:
        model: the bundle's id.
        target: of the bundle, such as ``onnx-int8``.
        engine: that the target is for.
        runner: what runs it; see `runners`.
        threads: that one inference may use.
        batch: pictures in one inference.
        folder: the bundle's.
        checkpoint: the network's, for runners that need it.
    """

    model: str
    target: str
    engine: str
    runner: str
    threads: int
    batch: int
    folder: Path
    checkpoint: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in lines and tables, apart from its model."""
        return name_of(self.target, self.runner, self.batch)


def name_of(target: str, runner: str, batch: int) -> str:
    """What a contender is called, apart from its model and threads."""
    name = target if runner == BIRDEDGE else f"{target} ({runner})"
    return name if batch == 1 else f"{name} x {batch}"
