"""What `manifest.json` says about a model: everything but the weights."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from .labels import Label
from .preprocess import Preprocess
from .texts import Text

SCHEMA_VERSION = 1


_Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Part):
    """One file of a bundle: its name inside the folder, SHA-256 and size."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Accuracy(_Part):
    """Measured accuracy: the share of right first answers with its 95 % Wilson interval.

    Attributes:
        top1: share of photos whose first answer was right.
        low: lower end of the interval.
        high: upper end.
        samples: photos measured.
        expected_calibration_error: 15 equal bins of confidence, after the temperature.
        data: which photos.
    """

    top1: _Share
    low: _Share
    high: _Share
    samples: int = Field(ge=0)
    expected_calibration_error: _Share | None = None
    data: Text = ""


class Target(_Part):
    """One way to run the model: an engine's files and what they take and give.

    Attributes:
        engine: name of a backend: ``onnx``, ``openvino``, ``tflite``, ``ncnn``.
        files: the engine's files, the one to open first.
        layout: order of the input's axes.
        dtype: ``float32`` takes normalised values, ``uint8`` takes the pixels as they are.
        output: whether the model ends in logits or has a softmax of its own.
        features: whether it gives its last feature map as a second output, axes as in ``layout``.
        golden_tolerance: largest difference of any logit from the golden one that is still right.
        accuracy: as measured through the device's own preprocessing.
    """

    engine: Text
    files: tuple[FileEntry, ...] = Field(min_length=1)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "uint8"] = "float32"
    output: Literal["logits", "probabilities"] = "logits"
    features: bool = False
    golden_tolerance: float = Field(gt=0, allow_inf_nan=False)
    accuracy: Accuracy | None = None


class OpenSet(_Part):
    """What tells the model's species from all else that a camera sees.

    Attributes:
        score: of the logits; see `predictions.SCORES`.
        threshold: what scores lower is none of the species.
        rejected: share of validation photos that it rejects nevertheless.
        data: which photos.
    """

    score: Literal["energy", "max_logit"]
    threshold: float = Field(allow_inf_nan=False)
    rejected: _Share
    data: Text = ""


class Manifest(_Part):
    """The description of a bundle.

    Attributes:
        schema_version: of this format; another major one is refused.
        id: name of the model, with its version.
        created: when, in UTC.
        labels: species in class order.
        preprocess: how pictures reach the network.
        targets: by name, such as ``onnx-int8``.
        temperature: logits are divided by it before the softmax.
        unknown_threshold: a first answer less probable than this is "unknown".
        open_set: what is none of its species, where that was measured.
        golden: file of golden inputs and logits.
        classifier: file of the last layer's weights, where targets give feature maps.
        documents: further files, such as the model card.
        license: what the weights may be used for.
        provenance: where it came from: commit, data, configuration, parent.
    """

    schema_version: int = SCHEMA_VERSION
    id: Text = Field(min_length=1)
    created: AwareDatetime
    labels: tuple[Label, ...] = Field(min_length=1)
    preprocess: Preprocess
    targets: dict[Text, Target] = Field(min_length=1)
    # Beyond that, no logit is left of a softmax.
    temperature: float = Field(default=1.0, ge=1e-6, le=1e6)
    unknown_threshold: _Share = 0.0
    open_set: OpenSet | None = None
    golden: FileEntry
    classifier: FileEntry | None = None
    documents: tuple[FileEntry, ...] = ()
    license: Text = ""
    provenance: dict[str, Any] = {}

    @field_validator("schema_version")
    @classmethod
    def _known_version(cls, version: int) -> int:
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema version {version} is not {SCHEMA_VERSION}; update birdedge")
        return version

    @field_validator("created")
    @classmethod
    def _in_utc(cls, created: datetime) -> datetime:
        try:
            return created.astimezone(UTC)
        except OverflowError as error:
            raise ValueError(f"{created} is no moment in UTC") from error

    @model_validator(mode="after")
    def _each_file_once(self) -> Self:
        names = [entry.name for entry in self.files()]
        for number, name in enumerate(names):
            if name in names[:number] or name == "manifest.json":
                raise ValueError(f"{name} is the name of another file of the bundle")
        return self

    def files(self) -> tuple[FileEntry, ...]:
        """Every file of the bundle but the manifest itself."""
        engines = (entry for target in self.targets.values() for entry in target.files)
        classifier = (self.classifier,) if self.classifier else ()
        return tuple(dict.fromkeys((*engines, self.golden, *classifier, *self.documents)))
