"""What a compression starts from: a checkpoint, read back, with the photos it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ..runtime.errors import CheckpointError
from ..train.checkpoint import CheckpointInfo, load_checkpoint
from ..train.model import network_of
from .mirror import Mirrored
from .photos import Photos


@dataclass(frozen=True)
class Model:
    """A network and its photos.

    Attributes:
        info: the checkpoint's description.
        weights: the checkpoint's weights.
        network: in evaluation mode; mirrored, if that was asked for.
        mirrored: whether it was.
        photos: that it was trained and validated on, and those to report on.
    """

    info: CheckpointInfo
    weights: Mapping[str, Tensor]
    network: nn.Module
    mirrored: bool
    photos: Photos

    @classmethod
    def load(cls, checkpoint: Path, data: Path | None, mirror: bool) -> "Model":
        """Read a checkpoint back.

        Args:
            checkpoint: a file of `birdedge train`, `prune` or `recover`.
            data: where the photos lie, if not where training found them.
            mirror: see `Mirrored`.

        Raises:
            CheckpointError: it is damaged, or does not fit the data.
            DataError: the photos are missing.
        """
        info, weights = load_checkpoint(checkpoint)
        photos = Photos.of(info, data)
        network = network_of(info, weights)
        network = Mirrored(network) if mirror else network
        return cls(info, weights, network.eval(), mirror, photos)


def load_twin(checkpoint: Path, model: Model, data: Path | None, mirror: bool) -> Model:
    """Load a twin of a model, and see that it is one.

    Raises:
        CheckpointError: it is damaged, or another architecture for other pictures or species.
        DataError: the photos are missing.
    """
    twin = Model.load(checkpoint, data, mirror)
    for name in ("architecture", "model_args", "labels", "preprocess"):
        if getattr(twin.info, name) != getattr(model.info, name):
            raise CheckpointError(f"{checkpoint} is no twin: its {name} differs")
    return twin
