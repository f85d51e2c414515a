"""Settings of the training loop and of its teachers, checked before anything is loaded."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from .precision import Precision, native_precision


class Loop(BaseModel):
    """The group ``trainer`` of the configuration; names and values are Lightning's.

    Attributes:
        epochs: how often every training photo is seen; 0 keeps the network as it starts.
        accelerator: ``auto``, ``cpu``, ``gpu``, ...
        devices: how many, or ``auto``.
        strategy: ``auto``, ``ddp``, ...
        precision: ``bf16-mixed`` computes in bfloat16 where it is safe and keeps float32 weights;
            ``auto`` is that on hardware made for it, and ``32-true`` elsewhere.
        deterministic: ``warn`` asks for repeatable kernels and says where there is none.
        gradient_clip: largest norm of the gradient.
        accumulate: batches per step of the optimiser.
        monitor: the figure by which the best epoch is chosen.
        patience: epochs without a better one before the end; 0 never stops early.
        ema_decay: of the averaged weights that are validated and kept; 0 keeps the last ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="trainer")

    epochs: NonNegativeInt
    accelerator: str = "auto"
    devices: int | str = "auto"
    strategy: str = "auto"
    precision: Literal["auto", Precision] = "auto"
    deterministic: bool | Literal["warn"] = "warn"
    gradient_clip: PositiveFloat | None = 1.0
    accumulate: PositiveInt = 1
    monitor: str = "val/top1"
    patience: NonNegativeInt = 10
    ema_decay: float = 0.99

    @property
    def resolved_precision(self) -> Precision:
        """The precision, ``auto`` replaced by what suits the machine at hand."""
        return native_precision(self.accelerator) if self.precision == "auto" else self.precision

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether the least or the greatest of the monitored figure is best."""
        return "min" if "loss" in self.monitor or "ece" in self.monitor else "max"


class Distill(BaseModel):
    """The group ``distill`` of the configuration; see `Distillation`.

    Attributes:
        teachers: checkpoints of `birdedge train`; none to learn from labels alone.
        temperature: softens teachers' and student's output.
        weight: share of the loss that is the teachers'.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="distill")

    teachers: tuple[Path, ...] = ()
    temperature: PositiveFloat = 1.0
    weight: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _of_someone(self) -> "Distill":
        if self.weight < 1 and not self.teachers:
            raise ValueError("a weight below 1 is shared with teachers, and there are none")
        return self
