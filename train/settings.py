"""Settings of photos, training loop and teachers, checked before anything is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .precision import Precision, native_precision


class Data(BaseModel):
    """The group ``data`` of the configuration.

    Attributes:
        root: folder of the photos; see `read_dataset`.
        val_fraction: share of each class's training photos that is held out; 0 holds out none.
        box_margin: as in `read_photo`.
        split_seed: which photos are held out.
        name: of the data set.
        species: table for `species_labels`.
        batch_size: photos a step.
        workers: processes that read photos; 0 reads them in the training process.
    """

    model_config = ConfigDict(frozen=True, title="data")

    root: Path
    val_fraction: Annotated[float, Field(ge=0, lt=1)]
    box_margin: Annotated[NonNegativeFloat, Field(allow_inf_nan=False)]
    split_seed: int
    name: str = ""
    species: Path | None = None
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 2

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The group out of a whole configuration, of a checkpoint's too.

        Older ones have no ``split_seed``: photos were held out by ``seed``.

        Raises:
            KeyError, ValidationError: a setting is missing or wrong.
        """
        return cls.model_validate({"split_seed": config["seed"], **config["data"]})


class Loop(BaseModel):
    """The group ``trainer`` of the configuration; names and values are Lightning's.

    Attributes:
        epochs: how often every training photo is seen; 0 keeps the network as it starts.
        accelerator: ``auto``, ``cpu``, ``gpu``, ...
        devices: how many; one.
        strategy: ``auto``; the others are for several devices.
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
    devices: int | str = 1
    strategy: str = "auto"
    precision: Literal["auto", Precision] = "auto"
    deterministic: bool | Literal["warn"] = "warn"
    gradient_clip: PositiveFloat | None = 1.0
    accumulate: PositiveInt = 1
    monitor: Literal["val/top1", "val/top5", "val/macro_recall", "val/ece", "val/loss"] = "val/top1"
    patience: NonNegativeInt = 10
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99

    @field_validator("devices", "strategy")
    @classmethod
    def _of_one_device(cls, value: int | str, info: ValidationInfo) -> int | str:
        # Lightning would start one process a device by the name of this one's script: it has none.
        only = cls.model_fields[str(info.field_name)].default
        if value != only:
            raise ValueError(
                f"training runs on one device, with {info.field_name}={only}; "
                "CUDA_VISIBLE_DEVICES chooses which"
            )
        return value

    @property
    def resolved_precision(self) -> Precision:
        """The precision, ``auto`` replaced by what suits the machine at hand."""
        return native_precision(self.accelerator) if self.precision == "auto" else self.precision

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether the least or the greatest of the monitored figure is best."""
        return "min" if self.monitor in ("val/loss", "val/ece") else "max"


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
