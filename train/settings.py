"""The whole configuration, checked before anything is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from omegaconf import DictConfig, OmegaConf
from pydantic import (
    BaseModel,
    BeforeValidator,
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

from .augment import Augment
from .module import Optimizer
from .precision import Precision, native_precision
from .probe import Probe

_OptionalPath = Annotated[Path | None, BeforeValidator(lambda value: value or None)]
"""Of ``setting=`` on the command line Hydra makes an empty text."""


class Model(BaseModel):
    """The group ``model`` of the configuration.

    Attributes:
        name: any name of ``timm.list_models()``.
        pretrained: begin with the model hub's weights, if not with those of ``init_from``.
        init_from: safetensors file to begin with.
        init_labels: what that tells apart, where it does not say so itself; see `read_labels`.
        args: further arguments of ``timm.create_model``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="model")

    name: str
    pretrained: bool = True
    init_from: _OptionalPath = None
    init_labels: _OptionalPath = None
    args: dict[str, Any] = {}

    @field_validator("args")
    @classmethod
    def _of_colours(cls, args: dict[str, Any]) -> dict[str, Any]:
        if args.get("in_chans", 3) != 3:
            raise ValueError("pictures have three channels: in_chans=3")
        return args

    @model_validator(mode="after")
    def _labels_of_something(self) -> Self:
        if self.init_labels is not None and self.init_from is None:
            raise ValueError(
                "init_labels names what init_from tells apart: give both, or init_labels=null"
            )
        return self


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

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, title="data")

    root: Path
    val_fraction: Annotated[float, Field(ge=0, lt=1)]
    box_margin: NonNegativeFloat
    split_seed: int
    name: str = ""
    species: Path | None = None
    batch_size: PositiveInt = 64
    workers: NonNegativeInt = 2

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """The group out of a checkpoint's whole configuration.

        Older ones have no ``split_seed``: photos were held out by ``seed``. What another version
        of birdedge had beside is passed over.

        Raises:
            KeyError, ValidationError: a setting is missing or wrong.
        """
        known = {name: value for name, value in config["data"].items() if name in cls.model_fields}
        return cls.model_validate({"split_seed": config["seed"], **known})


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
        ema_warmup: begin that average with less decay; see `averaging`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, title="trainer")

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
    ema_warmup: bool = True

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

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, title="distill")

    teachers: tuple[Path, ...] = ()
    temperature: PositiveFloat = 1.0
    weight: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _of_someone(self) -> "Distill":
        if self.weight < 1 and not self.teachers:
            raise ValueError("a weight below 1 is shared with teachers, and there are none")
        return self


class Wandb(BaseModel):
    """The group ``wandb`` of the configuration.

    Attributes:
        mode: ``offline`` keeps the record in the run's folder.
        project: where it belongs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="wandb")

    mode: Literal["online", "offline", "disabled"] = "offline"
    project: str = "birdedge"


class Settings(BaseModel):
    """Everything that a training run is told.

    Attributes:
        name: of the run.
        seed: of all that is random, but for which photos are held out.
        resume: a run's folder, or one of its checkpoints, to go on from.
        quantization_aware: see `SimulatedInt8`. Epochs are judged as rounded; what is kept of them
            is measured in float.
        preprocess: what `normalised_as` completes to a `Preprocess`, in RGB.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    resume: _OptionalPath = None
    quantization_aware: bool = False
    preprocess: dict[str, Any]
    data: Data
    model: Model
    augment: Augment
    optimizer: Optimizer
    probe: Probe
    distill: Distill
    trainer: Loop
    wandb: Wandb

    @field_validator("preprocess")
    @classmethod
    def _in_rgb(cls, preprocess: dict[str, Any]) -> dict[str, Any]:
        # Views, teachers and the model hub's weights are: with another order on the device alone,
        # a network would be validated on colours that it did not learn.
        if preprocess.get("color_order", "RGB") != "RGB":
            raise ValueError("networks are trained on color_order=RGB; leave it out")
        return preprocess

    @classmethod
    def of(cls, config: DictConfig) -> Self:
        """The configuration as Hydra composes it.

        Raises:
            ValidationError: a setting is wrong.
            OmegaConfBaseException: one is missing.
        """
        plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        # A recovery takes them from its parent, which may be from before there was a split_seed.
        data = {"split_seed": plain.get("seed"), **plain["data"]}
        return cls.model_validate({**plain, "data": data})
