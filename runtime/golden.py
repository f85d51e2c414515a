"""The self-test: golden inputs through a target must give the golden logits, on any machine.

Export, install, boot and sync all run this same test.
"""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .backends import Backend, load_backend
from .bundle import ModelBundle
from .errors import BundleError
from .manifest import Target
from .preprocess import Preprocess

GOLDEN = "golden.npz"


@dataclass(frozen=True)
class SelfTest:
    """What one target made of the golden inputs.

    Attributes:
        target: its name.
        largest_difference: of any logit from its golden value.
        tolerance: how much is allowed.
    """

    target: str
    largest_difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every logit was within tolerance; NaN never is."""
        return self.largest_difference <= self.tolerance


def draw_golden_inputs(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Four drawn pictures, uint8 ``[4, *size, 3]``, with shapes and gradients but no photo.

    Smooth, so that they compress; coloured, so that swapped channels show.
    """
    height, width = size
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    pictures = []
    for number in range(4):
        wave = np.sin((3 + 2 * number) * x + 4 * y)
        bird = ((x - 0.5) / 0.3) ** 2 + ((y - 0.5) / (0.15 + 0.05 * number)) ** 2 < 1
        channels = [
            110 + 90 * wave * (number != 1) + 70 * bird * (number % 2),
            90 + 120 * y - 60 * bird,
            200 - 150 * x * y - 40 * number + 90 * bird * (number == 2),
        ]
        pictures.append(np.stack([np.clip(c, 0, 255) for c in channels], axis=-1))
    return np.asarray(pictures).round().astype(np.uint8)


def model_input(
    pictures: NDArray[np.uint8], preprocess: Preprocess, target: Target
) -> NDArray[np.float32] | NDArray[np.uint8]:
    """Fitted pictures ``[N, h, w, 3]`` as a target takes them: normalised, or as they are."""
    if target.layout == "NCHW":
        # Only the memory is rearranged, and that while a pixel is still one byte: normalising runs
        # along whole planes then, and the engine's own layout needs no copy.
        pictures = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    return pictures if target.dtype == "uint8" else preprocess.normalise(pictures)


def write_golden(
    folder: Path, inputs: NDArray[np.uint8], logits: dict[str, NDArray[np.float32]]
) -> Path:
    """Write golden inputs and each target's logits ``[N, classes]`` into a bundle's folder."""
    path = folder / GOLDEN
    arrays = {f"logits/{target}": values for target, values in logits.items()}
    np.savez_compressed(path, allow_pickle=False, inputs=inputs, **arrays)
    return path


def self_test(bundle: ModelBundle, target: str, threads: int) -> SelfTest:
    """Load one target on this machine and compare it with its golden logits.

    Raises:
        BundleError: the golden file does not fit the bundle.
        BackendError: the engine could not load or run the model.
        MissingExtraError: the engine is not installed.
    """
    backend = load_backend(bundle.target_files(target), bundle.manifest.targets[target], threads)
    try:
        return compare_golden(bundle, target, backend)
    finally:
        backend.close()


def compare_golden(bundle: ModelBundle, target: str, backend: Backend) -> SelfTest:
    """Run the golden inputs through a loaded backend; see `self_test`."""
    spec = bundle.manifest.targets[target]
    preprocess = bundle.manifest.preprocess
    path = bundle.folder / bundle.manifest.golden.name
    inputs, golden = _read_golden(path, target, preprocess.input_size)
    given = backend.infer(model_input(inputs, preprocess, spec))
    if given.shape != golden.shape or given.shape[1] != len(bundle.manifest.labels):
        raise BundleError(
            f"{bundle.manifest.id} {target}: the model gives {given.shape[1:]} values, "
            f"its golden logits are {golden.shape[1:]}, its labels {len(bundle.manifest.labels)}"
        )
    difference = float(np.abs(given - golden).max())
    return SelfTest(target, difference, spec.golden_tolerance)


def _read_golden(
    path: Path, target: str, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            inputs, logits = arrays["inputs"], arrays[f"logits/{target}"]
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise BundleError(f"{path} holds no golden logits for {target}: {error}") from error
    if inputs.dtype != np.uint8 or inputs.shape != (*logits.shape[:1], *size, 3):
        raise BundleError(
            f"{path} holds golden inputs {inputs.dtype} {list(inputs.shape)}; pictures of "
            f"{size[1]} x {size[0]} pixels are needed"
        )
    return inputs, logits
