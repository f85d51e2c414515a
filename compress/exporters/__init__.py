"""From a PyTorch network to an engine's own format, one file per format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import nn

from ...runtime import plugins
from ...runtime.errors import BackendError

GROUP = "birdedge.exporters"


@dataclass(frozen=True)
class Exported:
    """What an exporter wrote.

    Attributes:
        engine: the backend that runs it.
        files: the engine's files, the one to open first.
        layout: order of the input's axes.
    """

    engine: str
    files: tuple[Path, ...]
    layout: Literal["NCHW", "NHWC"]


class Exporter(Protocol):
    """Writes a network in one engine's format."""

    def export(self, network: nn.Module, input_size: tuple[int, int], folder: Path) -> Exported:
        """Write a network's files into a folder.

        Args:
            network: in evaluation mode; normalised float32 ``[N, 3, H, W]`` to logits
                ``[N, classes]``, or `WithFeatures`, to logits and a feature map, which is written
                in the order of the input's axes.
            input_size: height and width of the input, in pixels; fixed in what is written.
            folder: an existing folder.

        Raises:
            BackendError: the network has something that the format cannot express.
            MissingExtraError: the format's converter is not installed.
        """


def load_exporter(name: str) -> Exporter:
    """Find an exporter by name.

    Raises:
        BackendError: there is none of that name.
    """
    point = plugins.find(GROUP, name)
    if point is None:
        known = ", ".join(plugins.names(GROUP))
        raise BackendError(f"no exporter {name!r} is known; there are {known}")
    exporter_class: Any = point.load()
    exporter: Exporter = exporter_class()
    return exporter
