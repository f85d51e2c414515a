"""What the targets answer, through the device's own preprocessing and engines, next to PyTorch."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..runtime.backends import default_threads, load_backend
from ..runtime.bundle import describe_file
from ..runtime.errors import CheckpointError
from ..runtime.golden import model_input
from ..runtime.manifest import Accuracy, OpenSet, Target
from ..runtime.predictions import are_familiar, softmax
from ..runtime.preprocess import Preprocess
from .exporters import Exported
from .figures import expected_calibration_error, wilson_interval

REFERENCE = "torch"
"""The name under which the network's own logits stand beside the targets'."""

Logits = NDArray[np.float32]


class Runner(Protocol):
    """Something that answers pictures."""

    def __call__(self, pictures: NDArray[np.uint8]) -> Logits:
        """Fitted pictures, uint8 ``[N, h, w, 3]``, to logits ``[N, classes]``."""


@dataclass(frozen=True)
class Verification:
    """How one target did.

    Attributes:
        accuracy: with its interval and calibration error.
        agreement: share of photos to which it gives the reference's first answer.
        coverage: share of photos that it names instead of calling them unknown.
        selective_accuracy: share of the named photos that are named rightly; None if none is.
        mean_difference: of its logits from the reference's.
        largest_difference: likewise.
    """

    accuracy: Accuracy
    agreement: float
    coverage: float
    selective_accuracy: float | None
    mean_difference: float
    largest_difference: float


def answers(
    network: nn.Module,
    targets: Mapping[str, tuple[tuple[Path, ...], Target]],
    preprocess: Preprocess,
    pictures: Iterable[NDArray[np.uint8]],
) -> dict[str, Logits]:
    """Run the network and all targets over the same pictures, each decoded once.

    Args:
        network: in evaluation mode.
        targets: files and description of each, by name.
        preprocess: as the device will do it.
        pictures: batches, uint8 ``[N, h, w, 3]``.

    Returns:
        Logits ``[all pictures, classes]`` by target, and under `REFERENCE` the network's.

    Raises:
        CheckpointError: the network gives values that are not finite.
        BackendError: an engine cannot load or run a target.
    """
    with ExitStack() as open_backends:
        runners: dict[str, Runner] = {REFERENCE: torch_runner(network, preprocess)}
        for name, (files, target) in targets.items():
            runner = BackendRunner(files, target, preprocess)
            open_backends.callback(runner.close)
            runners[name] = runner
        parts: dict[str, list[Logits]] = {name: [] for name in runners}
        for batch in pictures:
            for name, run in runners.items():
                logits = run(batch)
                if name == REFERENCE and not np.isfinite(logits).all():
                    raise CheckpointError("the checkpoint's network gives NaN or infinite logits")
                parts[name].append(logits)
    return {name: np.concatenate(logits) for name, logits in parts.items()}


def torch_runner(network: nn.Module, preprocess: Preprocess) -> Runner:
    """The network itself, behind the device's preprocessing."""

    @torch.inference_mode()
    def run(pictures: NDArray[np.uint8]) -> Logits:
        images = torch.from_numpy(preprocess.normalise(pictures)).permute(0, 3, 1, 2)
        logits: Logits = network(images.contiguous()).float().numpy()
        return logits

    return run


class BackendRunner:
    """A target in its engine, with the device's preprocessing in front."""

    def __init__(self, files: tuple[Path, ...], target: Target, preprocess: Preprocess) -> None:
        self._backend = load_backend(files, target, default_threads())
        self._target = target
        self._preprocess = preprocess

    def __call__(self, pictures: NDArray[np.uint8]) -> Logits:
        """Fitted pictures, uint8 ``[N, h, w, 3]``, to logits ``[N, classes]``."""
        return self._backend.infer(model_input(pictures, self._preprocess, self._target))

    def close(self) -> None:
        """Free the engine."""
        self._backend.close()


def run_exported(model: Exported, preprocess: Preprocess, pictures: NDArray[np.uint8]) -> Logits:
    """Run a model that is no target yet.

    Args:
        model: what an exporter or a quantizer wrote.
        preprocess: as the device will do it.
        pictures: fitted, uint8 ``[N, h, w, 3]``; they are run one by one.

    Returns:
        Logits ``[N, classes]``.

    Raises:
        BackendError: the engine cannot load or run it.
    """
    files = tuple(describe_file(file) for file in model.files)
    target = Target(engine=model.engine, files=files, layout=model.layout, golden_tolerance=1)
    run = BackendRunner(model.files, target, preprocess)
    try:
        return np.concatenate([run(picture[None]) for picture in pictures])
    finally:
        run.close()


def verify(
    logits: Logits,
    reference: Logits,
    labels: NDArray[np.int64],
    temperature: float = 1.0,
    threshold: float = 0.0,
    data: str = "",
    open_set: OpenSet | None = None,
) -> Verification:
    """Compare a target's logits with the truth and with the reference's.

    Args:
        logits: the target's, ``[N, classes]``.
        reference: the network's own, likewise.
        labels: class numbers ``[N]``.
        temperature: makes logits probabilities that can be believed.
        threshold: first answers less probable than this are unknown.
        data: which photos these were.
        open_set: what it rejects is unknown, too.
    """
    first = logits.argmax(axis=1)
    right = first == labels
    low, high = wilson_interval(int(right.sum()), len(labels))
    confidence = softmax(logits, temperature).max(axis=1)
    named = confidence >= threshold
    if open_set is not None:
        named &= are_familiar(logits, open_set)
    difference = np.abs(logits - reference)
    return Verification(
        Accuracy(
            top1=round(float(right.mean()), 5),
            low=round(low, 5),
            high=round(high, 5),
            samples=len(labels),
            expected_calibration_error=round(expected_calibration_error(confidence, right), 5),
            data=data,
        ),
        agreement=float((first == reference.argmax(axis=1)).mean()),
        coverage=float(named.mean()),
        selective_accuracy=float(right[named].mean()) if named.any() else None,
        mean_difference=float(difference.mean()),
        largest_difference=float(difference.max()),
    )
