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
        runner: what runs it; see `runners.names`.
        threads: that one inference may use.
        batch: pictures in one inference.
        folder: the bundle's.
        checkpoint: the network's, for runners that need it.
    """

    model: str
    target: str
    runner: str
    threads: int
    batch: int
    folder: Path
    checkpoint: Path | None = None

    @property
    def name(self) -> str:
        """What it is called in lines and tables, apart from its model."""
        name = self.target if self.runner == BIRDEDGE else f"{self.target} ({self.runner})"
        if self.batch > 1:
            name += f" x {self.batch}"
        return name

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What makes it the same in another run."""
        return self.model, self.target, self.runner, self.threads, self.batch
