"""Class activation maps: which part of a picture speaks for a species.

B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016
(arXiv:1512.04150).
"""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .errors import BundleError

CLASSIFIER = "classifier.npz"


def write_classifier(folder: Path, weights: NDArray[np.float32]) -> Path:
    """Write the last layer's weights ``[classes, channels]`` into a bundle's folder, as float16."""
    path = folder / CLASSIFIER
    np.savez_compressed(path, allow_pickle=False, weights=weights.astype(np.float16))
    return path


def read_classifier(path: Path) -> NDArray[np.float32]:
    """Read the last layer's weights ``[classes, channels]``.

    Raises:
        BundleError: the file holds none.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            weights: NDArray[np.float32] = arrays["weights"].astype(np.float32)
    except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise BundleError(f"{path} holds no classifier weights: {error}") from error
    return weights


def activation_maps(
    features: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What each place of a feature map adds to each logit.

    Args:
        features: ``[N, h, w, channels]``.
        weights: ``[classes, channels]``.

    Returns:
        ``[N, h, w, classes]``; the mean over ``h`` and ``w`` is the logit without its bias.

    Raises:
        BundleError: the two have another number of channels.
    """
    if features.shape[-1] != weights.shape[1]:
        raise BundleError(
            f"the model gives {features.shape[-1]} feature channels, its classifier file has "
            f"weights for {weights.shape[1]}"
        )
    maps: NDArray[np.float32] = features @ weights.T
    return maps
