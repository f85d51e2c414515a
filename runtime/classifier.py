"""Pictures to predictions: a bundle's model, loaded and asked."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .backends import Backend, default_threads, load_backend
from .bundle import ModelBundle
from .errors import BackendError, BundleError
from .golden import model_input
from .predictions import Prediction, predict, softmax
from .threads import check_threads

Weights = Callable[[datetime], NDArray[np.float32]]
"""How common each species is at a time, ``[classes]``, from 0 to 1."""


class Classifier:
    """A bundle's model, loaded and ready.

    Attributes:
        bundle: the model's.
        target: which of its targets is loaded.
        backend: the engine that it is loaded into.
        threshold: an answer less probable than this is not believed.
        weights: how common species are at a time.

    Args:
        bundle: a verified bundle.
        target: one of its targets, or ``auto`` for the fastest on this machine.
        threads: threads per inference; as many as there are cores, up to four, if not given.
        threshold: instead of the bundle's own unknown threshold.
        weights: how common species are at a time; all alike if not given.

    Raises:
        BundleError: the bundle has no such target.
        BackendError: the engine could not load the model, or the threads are too many.
        MissingExtraError: the engine is not installed.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        target: str = "auto",
        threads: int | None = None,
        threshold: float | None = None,
        weights: Weights | None = None,
    ) -> None:
        threads = threads or default_threads()
        check_threads(threads)
        manifest = bundle.manifest
        self.bundle = bundle
        self.target = _fastest(bundle, threads) if target == "auto" else target
        self.weights = weights
        self.threshold = manifest.unknown_threshold if threshold is None else threshold
        files = bundle.target_files(self.target)
        self._spec = manifest.targets[self.target]
        self.backend: Backend = load_backend(files, self._spec, threads)

    def classify(self, picture: Image.Image | NDArray[np.uint8]) -> Prediction:
        """Name the bird in one RGB picture, Pillow's or uint8 ``[H, W, 3]``."""
        return self.predict([self.fit(picture)])[0]

    def fit(self, picture: Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring a picture to the model's input size; safe to call from many threads."""
        return self.bundle.manifest.preprocess.fit(picture)

    def predict(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Prediction]:
        """Name the birds in fitted pictures, uint8 ``[h, w, 3]`` each.

        Raises:
            BackendError: the engine failed, or gave values that are not finite.
        """
        weights = self.weights and self.weights(datetime.now(UTC))
        return [self.decide(row, weights) for row in self.logits(np.stack(pictures))]

    def decide(
        self, logits: NDArray[np.float32], weights: NDArray[np.float32] | None = None
    ) -> Prediction:
        """What logits ``[classes]`` mean, of one picture or the mean of many; see `predict`."""
        return predict(logits, self.bundle.manifest, self.threshold, weights)

    def probabilities(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities ``[N, classes]`` of fitted pictures ``[N, h, w, 3]``."""
        return softmax(self.logits(pictures), self.bundle.manifest.temperature)

    def logits(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The model's answers ``[N, classes]`` to fitted pictures ``[N, h, w, 3]``.

        Raises:
            BackendError: the engine failed, or gave values that are not finite.
        """
        values = self.backend.infer(
            model_input(pictures, self.bundle.manifest.preprocess, self._spec)
        )
        if values.shape[1:] != (len(self.bundle.manifest.labels),):
            raise BackendError(
                f"{self.bundle.manifest.id} gives {values.shape[1:]} values for "
                f"{len(self.bundle.manifest.labels)} labels"
            )
        if not np.isfinite(values).all():
            raise BackendError(f"{self.bundle.manifest.id} gave NaN or infinite values")
        if self._spec.output == "probabilities":
            # Undo the model's own softmax, but for a constant that the next one takes out again.
            values = np.log(np.maximum(values, 1e-7))
        return np.asarray(values, np.float32)

    def activation_map(self, picture: NDArray[np.uint8], species: int) -> NDArray[np.float32]:
        """Where in a picture the model sees a species: its class activation map.

        Args:
            picture: fitted, uint8 ``[h, w, 3]``.
            species: number of the class, in the order of the bundle's labels.

        Returns:
            ``[rows, columns]`` over the picture, 7 by 7 for 224 pixels; high where it looks like
            that species. See `activation_maps` for the unit.

        Raises:
            BackendError: the engine failed, or the model gives no feature map.
            BundleError: the bundle lacks the classifier's weights.
        """
        # For the few who ask; a short run has no need of it.
        from .activation import activation_maps

        manifest = self.bundle.manifest
        batch = model_input(picture[None], manifest.preprocess, self._spec)
        _, features = self.backend.infer_with_features(batch)
        return activation_maps(features, self._classifier_weights)[0, :, :, species]

    @cached_property
    def _classifier_weights(self) -> NDArray[np.float32]:
        """The last layer's, ``[classes, channels]``; read once, when first asked for."""
        from .activation import read_classifier

        manifest = self.bundle.manifest
        if manifest.classifier is None:
            raise BundleError(f"{manifest.id} has feature maps, but no classifier weights")
        return read_classifier(self.bundle.folder / manifest.classifier.name)

    def close(self) -> None:
        """Free the engine."""
        self.backend.close()


def _fastest(bundle: ModelBundle, threads: int) -> str:
    targets = list(bundle.manifest.targets)
    if len(targets) == 1:
        return targets[0]
    # Most bundles leave no choice, and need neither the clock nor the cache.
    from .selection import choose_target

    return choose_target(bundle, threads)
