"""A bundle's target as birdedge runs it on the device."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...runtime.bundle import ModelBundle
from ...runtime.classifier import Classifier
from ...runtime.golden import model_input
from ...runtime.preprocess import read_image
from ..contenders import Contender


class TargetRunner:
    """Through `Classifier` and its backend."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._batch: NDArray[np.float32] | NDArray[np.uint8] | None = None

    @classmethod
    def load(cls, contender: Contender) -> "TargetRunner":
        """Load a bundle's target; see `Runner.load`."""
        bundle = ModelBundle.load(contender.folder)
        return cls(Classifier(bundle, contender.target, contender.threads))

    def prepare(self, pictures: NDArray[np.uint8]) -> None:
        """Normalise pictures; see `Runner.prepare`."""
        manifest = self._classifier.bundle.manifest
        spec = manifest.targets[self._classifier.target]
        self._batch = model_input(pictures, manifest.preprocess, spec)

    def infer(self) -> object:
        """Run the backend; see `Runner.infer`."""
        assert self._batch is not None
        return self._classifier.backend.infer(self._batch)

    def classify(self, photo: bytes) -> object:
        """Decode, fit, normalise, run and decide; see `Runner.classify`."""
        return self._classifier.classify(read_image(photo))

    def answer(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits; see `Answering.answer`."""
        return self._classifier.logits(pictures)

    def own_milliseconds(self, count: int) -> Sequence[float]:
        """Engines are asked by their bare runners; see `Runner.own_milliseconds`."""
        return ()
