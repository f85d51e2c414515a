"""Inference engines behind one seam. An engine is one file here and one entry point."""

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import plugins
from ..errors import BackendError
from ..manifest import Target
from ..threads import check_threads

GROUP = "birdedge.backends"

Pixels = NDArray[np.float32 | np.uint8]


class Backend(Protocol):
    """A model loaded into an engine."""

    @classmethod
    def load(cls, files: tuple[Path, ...], target: Target, threads: int) -> "Backend":
        """Load a model.

        Args:
            files: the target's files, the one to open first.
            target: what the model takes and gives.
            threads: how many threads one inference may use.

        Raises:
            BackendError: the file is damaged, or not for this engine.
            MissingExtraError: the engine is not installed.
        """

    def infer(self, batch: Pixels) -> NDArray[np.float32]:
        """Run the network.

        Args:
            batch: ``[N, H, W, 3]``; normalised float32, or uint8 pixels where the target's
                ``dtype`` says so.

        Returns:
            What the model gives, float32 ``[N, classes]``.

        Raises:
            BackendError: the engine refused the batch.
        """

    def infer_with_features(self, batch: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network; for targets that give features.

        Args:
            batch: as for `infer`.

        Returns:
            What `infer` returns, and the last feature maps, float32 ``[N, h, w, channels]``.

        Raises:
            BackendError: the engine refused the batch, or the model gives no features.
        """

    def close(self) -> None:
        """Free the engine's memory; the backend is of no use afterwards."""


def load_backend(files: tuple[Path, ...], target: Target, threads: int) -> Backend:
    """Load a target's model into its engine.

    Raises:
        BackendError: no such engine is known, it could not load the model, or the threads are too
            many.
        MissingExtraError: the engine's package is not installed.
    """
    check_threads(threads)
    point = plugins.find(GROUP, target.engine)
    if point is None:
        known = ", ".join(plugins.names(GROUP))
        raise BackendError(f"no engine {target.engine!r} is known; there are {known}")
    engine: Any = point.load()
    backend: Backend = engine.load(files, target, threads)
    return backend


def default_threads() -> int:
    """As many threads as this process may use cores, at most four: no Pi has more."""
    return min(4, len(os.sched_getaffinity(0)))


def needs_features(target: Target) -> None:
    """See that a target gives features.

    Raises:
        BackendError: it does not.
    """
    if not target.features:
        raise BackendError("this model does not give its feature map; compress it anew")


def channels_last(maps: NDArray[np.float32], target: Target) -> NDArray[np.float32]:
    """Bring feature maps from the target's layout to ``[N, h, w, channels]``."""
    return maps if target.layout == "NHWC" else maps.transpose(0, 2, 3, 1)


def as_laid_out(batch: Pixels, target: Target) -> Pixels:
    """Bring ``[N, H, W, 3]`` into the target's layout, contiguous in memory."""
    laid_out: Pixels = batch if target.layout == "NHWC" else batch.transpose(0, 3, 1, 2)
    contiguous: Pixels = np.ascontiguousarray(laid_out)
    return contiguous
