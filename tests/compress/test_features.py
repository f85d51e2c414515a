"""Feature maps leave the network beside the logits, and say where in a picture a species is."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw

from birdedge.compress.compress import compress
from birdedge.compress.features import WithFeatures, classifier_weights, has_linear_head
from birdedge.compress.mirror import Mirrored
from birdedge.compress.targets import TARGETS, Calibration
from birdedge.compress.tolerance import Tolerance
from birdedge.runtime.activation import read_classifier, write_classifier
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.errors import BundleError

SIZE = (64, 64)


@pytest.mark.parametrize(
    ("architecture", "linear"),
    [
        ("resnet18", True),
        ("mobilenetv2_035", True),
        ("mobilenetv3_small_050", False),
        ("dla46_c", False),  # ends in a convolution
        ("test_vit", False),  # has tokens, no map
    ],
)
def test_only_networks_with_a_linear_head_give_their_features(
    architecture: str, linear: bool
) -> None:
    torch.manual_seed(0)
    size = (160, 160) if architecture == "test_vit" else SIZE
    network = timm.create_model(architecture, num_classes=5).eval()
    assert has_linear_head(network, size) is linear
    assert has_linear_head(Mirrored(network).eval(), size) is linear


@pytest.mark.parametrize("mirrored", [False, True])
def test_logits_are_what_the_map_adds_up_to(trained, mirrored: bool) -> None:
    network = Mirrored(trained.network).eval() if mirrored else trained.network
    torch.manual_seed(0)
    images = torch.randn(3, 3, *SIZE)
    with torch.inference_mode():
        logits, maps = WithFeatures(network)(images)
        expected = network(images)
        added_up = maps.mean(dim=(2, 3)) @ classifier_weights(network).T

    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        added_up + trained.network.classifier.bias, logits, rtol=1e-4, atol=1e-4
    )


@pytest.mark.slow
def test_every_target_of_a_bundle_shows_where_the_shape_is(trained, tmp_path: Path) -> None:
    made = compress(
        trained.path, tmp_path / "b", targets=tuple(TARGETS), calibration=Calibration(12),
        tolerance=Tolerance(50, 0),
    )  # fmt: skip
    bundle = ModelBundle.load(made.folder)
    right = Image.new("RGB", SIZE, (128, 128, 128))
    ImageDraw.Draw(right).ellipse((40, 20, 63, 43), fill="red")
    pictures = [np.asarray(right), np.asarray(right)[:, ::-1].copy()]
    bias = trained.network.classifier.bias.detach().numpy()
    temperature = bundle.manifest.temperature
    for target, recipe in TARGETS.items():
        classifier = Classifier(bundle, target)
        maps = np.array(
            [[classifier.activation_map(picture, i) for i in range(3)] for picture in pictures]
        )
        logits = np.log(classifier.probabilities(np.stack(pictures))) * temperature
        classifier.close()

        assert maps.shape == (2, 3, 2, 2)
        added_up = maps.mean(axis=(2, 3)) + bias
        difference = (added_up - added_up[:, :1]) - (logits - logits[:, :1])
        # The head is quantized too, and an untrained network multiplies what that rounds.
        assert np.abs(difference).max() < (0.5 if recipe.quantized else 0.02) * np.ptp(added_up)
        if not recipe.quantized:
            moved = (maps[0] - maps[1])[2]  # of the red disc, to the other side
            assert moved[:, 1].mean() > moved[:, 0].mean()


def test_a_bundle_without_a_linear_head_has_no_classifier_file(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("birdedge.compress.make.has_linear_head", lambda *_: False)
    made = compress(
        trained.path, tmp_path / "b", targets=("onnx-fp32",), tolerance=Tolerance(50, 0)
    )
    assert made.manifest.classifier is None
    assert not made.manifest.targets["onnx-fp32"].features


def test_damaged_classifier_weights_are_refused(tmp_path: Path) -> None:
    path = write_classifier(tmp_path, np.ones((3, 8), np.float32))
    assert read_classifier(path).shape == (3, 8)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BundleError, match="holds no classifier weights"):
        read_classifier(path)
