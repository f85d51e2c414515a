"""What all bare loops share: a bundle's file and its input, with nothing of birdedge between."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...runtime.bundle import ModelBundle
from ...runtime.manifest import Target
from ...runtime.preprocess import Preprocess
from ..contenders import Contender


class BareModel:
    """A target's file, and pictures as its engine's quick start would prepare them.

    Pillow decodes and resizes, NumPy normalises.
    """

    def __init__(self, contender: Contender) -> None:
        bundle = ModelBundle.load(contender.folder)
        self.file: Path = bundle.target_files(contender.target)[0]
        self.target: Target = bundle.manifest.targets[contender.target]
        self.preprocess: Preprocess = bundle.manifest.preprocess

    def input_of(self, pictures: NDArray[np.uint8]) -> NDArray[Any]:
        """Fitted pictures ``[N, h, w, 3]`` as the file takes them."""
        values: NDArray[Any] = pictures
        if self.target.dtype == "float32":
            mean = np.asarray(self.preprocess.mean, np.float32)
            std = np.asarray(self.preprocess.std, np.float32)
            values = (pictures.astype(np.float32) / 255 - mean) / std
        if self.target.layout == "NCHW":
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        return values

    def decode(self, photo: bytes) -> NDArray[Any]:
        """One picture file's bytes as the file takes it."""
        height, width = self.preprocess.input_size
        image = Image.open(io.BytesIO(photo)).convert("RGB")
        pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        return self.input_of(pixels[None])
