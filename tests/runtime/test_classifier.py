"""Pictures in, ranked species out; and when the answer is "unknown"."""

from collections.abc import Callable

import numpy as np
import pytest
from colours import BLUE, GREEN, NAMES, RED
from PIL import Image

import birdedge
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.errors import BackendError, BundleError
from birdedge.runtime.predictions import softmax
from birdedge.runtime.threads import MAX_THREADS


def picture(color: str) -> Image.Image:
    return Image.new("RGB", (50, 40), color)


@pytest.mark.parametrize(
    ("color", "species"),
    [
        (RED, "Northern Cardinal"),
        (GREEN, "Calliope Hummingbird"),
        (BLUE, "Indigo Bunting"),
    ],
)
def test_a_picture_is_named(classifier: Classifier, color: str, species: str) -> None:
    prediction = classifier.classify(picture(color))

    assert prediction.name == species
    assert prediction.ranked[0].label.common_name == species
    assert sum(candidate.probability for candidate in prediction.ranked) == pytest.approx(1)


def test_many_pictures_are_named_as_each_alone(classifier: Classifier) -> None:
    colors = [RED, GREEN, BLUE, RED, BLUE]

    together = classifier.predict([classifier.fit(picture(color)) for color in colors])

    assert together == [classifier.classify(picture(color)) for color in colors]


def test_temperature_softens_and_keeps_the_order(
    bundle: ModelBundle, edit: Callable[..., ModelBundle]
) -> None:
    sharp = Classifier(bundle).classify(picture(RED))
    soft = Classifier(edit(bundle, temperature=3.0)).classify(picture(RED))

    assert soft.name == sharp.name
    odds = [np.log(p.ranked[0].probability / p.ranked[1].probability) for p in (sharp, soft)]
    assert odds[0] == pytest.approx(3 * odds[1], rel=1e-4)


def test_below_the_threshold_the_answer_is_unknown(
    bundle: ModelBundle, edit: Callable[..., ModelBundle]
) -> None:
    doubtful = Classifier(edit(bundle, unknown_threshold=0.999)).classify(picture(RED))

    assert doubtful.species is None
    assert doubtful.name == "unknown"
    assert doubtful.ranked[0].label.common_name == "Northern Cardinal"


def test_a_threshold_of_ones_own_replaces_the_bundles(
    bundle: ModelBundle, edit: Callable[..., ModelBundle]
) -> None:
    strict = edit(bundle, unknown_threshold=0.999)

    assert Classifier(strict, threshold=0.0).classify(picture(RED)).name == "Northern Cardinal"


def test_background_is_unknown_however_sure(make_bundle: Callable[..., ModelBundle]) -> None:
    classifier = Classifier(make_bundle((*NAMES[:2], "background")))

    prediction = classifier.classify(picture(BLUE))

    assert prediction.ranked[0].label.is_background
    assert prediction.name == "unknown"


def test_logits_that_are_not_numbers_are_never_a_prediction(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier(bundle)
    nan = np.full((1, 3), np.nan, dtype=np.float32)
    monkeypatch.setattr(classifier.backend, "infer", lambda batch: nan)

    with pytest.raises(BackendError, match="NaN or infinite"):
        classifier.classify(picture(RED))


def test_a_target_that_the_bundle_lacks_is_answered_with_those_it_has(bundle: ModelBundle) -> None:
    with pytest.raises(BundleError, match="onnx-fp32"):
        Classifier(bundle, "tflite-int8")


@pytest.mark.parametrize("threads", [-1, MAX_THREADS + 1])
@pytest.mark.parametrize("target", ["auto", "onnx-fp32"])
def test_no_more_threads_are_started_than_any_machine_has_use_for(
    bundle: ModelBundle, target: str, threads: int
) -> None:
    with pytest.raises(BackendError, match=f"^{threads} threads: give at least 1, at most 256"):
        birdedge.load(bundle.folder, target=target, threads=threads)


def test_softmax_does_not_overflow() -> None:
    assert softmax(np.array([[1e4, 0, -1e4]], dtype=np.float32)).tolist() == [[1, 0, 0]]
