"""A trained network as one safetensors file that says what it is."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..runtime.durable import atomic_write
from ..runtime.errors import CheckpointError
from ..runtime.labels import Label
from ..runtime.preprocess import Preprocess

_METADATA_KEY = "birdedge"


class Provenance(BaseModel):
    """Where a network came from.

    Attributes:
        command: the command line that made it.
        git_commit: commit of the working tree, and a digest of what was changed since; see
            `git_commit`.
        data_digest: SHA-256 over the names and sizes of the training photos.
        config: the resolved training configuration.
        tracker_run: W&B's run id, if there was one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str = ""
    git_commit: str = ""
    data_digest: str = ""
    config: dict[str, Any] = {}
    tracker_run: str | None = None


class CheckpointInfo(BaseModel):
    """Everything but the weights.

    Attributes:
        architecture: a name that ``timm.create_model`` knows.
        model_args: further arguments of ``timm.create_model``.
        labels: species in class order.
        preprocess: how pictures reach the network.
        metrics: validation and test figures by name, such as ``val/top1``.
        provenance: how it was made.
        pruning: how channels were taken out, if they were; the weights then have shapes of their
            own, and `narrow` fits the architecture to them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    model_args: dict[str, Any] = {}
    labels: tuple[Label, ...]
    preprocess: Preprocess
    metrics: dict[str, float] = {}
    provenance: Provenance = Provenance()
    pruning: dict[str, Any] = {}

    def renamed_class(self, classes: Sequence[str]) -> tuple[str, str] | None:
        """The first class whose name is not the checkpoint's: the checkpoint's, then the other.

        Args:
            classes: a data set's names, in order; a label that came without one fits any.
        """
        pairs = zip((label.dataset_class for label in self.labels), classes, strict=False)
        return next(((own, other) for own, other in pairs if own not in (None, other)), None)


def save_checkpoint(path: Path, network: nn.Module, info: CheckpointInfo) -> None:
    """Write weights and description; an older file is replaced only once the new one is whole.

    Raises:
        CheckpointError: it cannot be written, or has NaN or infinite weights, with which it could
            not be read; an older file is as it was.
    """
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    if bad := not_finite(weights):
        raise CheckpointError(f"cannot write {path}: {bad} has NaN or infinite weights")
    try:
        with atomic_write(path) as draft:
            save_file(weights, draft, metadata={_METADATA_KEY: info.model_dump_json()})
            draft.chmod(0o644)  # safetensors leaves it to its owner alone
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot write {path}: {error}") from error


def load_checkpoint(path: Path) -> tuple[CheckpointInfo, dict[str, Tensor]]:
    """Read a checkpoint back.

    Raises:
        CheckpointError: the file is missing, damaged, not birdedge's, or has NaN or infinite
            weights.
    """
    weights, metadata = read_safetensors(path)
    info = checkpoint_info(path, metadata)
    if info is None:
        raise CheckpointError(
            f"{path} holds weights alone; a checkpoint of `birdedge train` is needed"
        )
    return info, weights


def describe(path: Path) -> CheckpointInfo | None:
    """What a file says of itself, its weights unread; None where it is not birdedge's.

    Raises:
        CheckpointError: the file is missing or not safetensors, or the description is damaged.
    """
    with _opened(path) as file:
        return checkpoint_info(path, file.metadata() or {})


def checkpoint_info(path: Path, metadata: Mapping[str, str]) -> CheckpointInfo | None:
    """What a file's metadata say of it; None where they are not birdedge's.

    Raises:
        CheckpointError: the description is damaged.
    """
    if _METADATA_KEY not in metadata:
        return None
    try:
        return CheckpointInfo.model_validate_json(metadata[_METADATA_KEY])
    except ValidationError as error:
        raise CheckpointError(f"{path}: its description is damaged: {error}") from error


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Weights by name, as float32 where they are floating-point, and the file's metadata.

    Raises:
        CheckpointError: the file is missing, not safetensors, or has NaN or infinite weights.
    """
    with _opened(path) as file:
        metadata = file.metadata() or {}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if bad := not_finite(weights):
        raise CheckpointError(f"{path}: {bad} has NaN or infinite weights")
    for name, tensor in weights.items():
        if tensor.is_floating_point():
            weights[name] = tensor.float()
    return weights, metadata


def not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with a NaN or an infinity in it, if there is one."""
    return next((name for name, tensor in weights.items() if not tensor.isfinite().all()), None)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise CheckpointError(f"no weights at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
