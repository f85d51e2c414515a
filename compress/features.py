"""Networks that give their last feature map beside the logits, for class activation maps."""

import torch
from torch import Tensor, nn

from .mirror import Mirrored


class WithFeatures(nn.Module):
    """A network with two outputs: its logits, and the feature map that they are read from.

    Args:
        network: for which `has_linear_head` holds.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[N, classes]`` and maps ``[N, channels, h, w]`` of images ``[N, 3, H, W]``."""
        maps = self.network.forward_features(images)  # type: ignore[operator]
        return self.network.forward_head(maps), maps  # type: ignore[operator]


@torch.inference_mode()
def has_linear_head(network: nn.Module, input_size: tuple[int, int]) -> bool:
    """Whether a network's logits are a linear layer on the mean of its last feature map.

    Only then does the layer, applied at each place of the map, say what that place adds to a logit.
    B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016
    (arXiv:1512.04150). ResNet and MobileNetV2 are such networks, MobileNetV3 is not.

    Args:
        network: in evaluation mode.
        input_size: height and width in pixels.
    """
    classifier = _classifier(network)
    if not isinstance(classifier, nn.Linear):
        return False
    images = torch.linspace(-1, 1, 3 * input_size[0] * input_size[1]).view(1, 3, *input_size)
    maps = _timm_network(network).forward_features(images)  # type: ignore[operator]
    if maps.ndim != 4 or maps.shape[1] != classifier.in_features:
        return False
    logits, maps = WithFeatures(network)(images)
    return torch.allclose(classifier(maps.mean(dim=(2, 3))), logits, rtol=1e-3, atol=1e-3)


def classifier_weights(network: nn.Module) -> Tensor:
    """Weights ``[classes, channels]`` of the last layer."""
    classifier = _classifier(network)
    assert isinstance(classifier, nn.Linear)
    return classifier.weight.detach()


def _classifier(network: nn.Module) -> object:
    return _timm_network(network).get_classifier()  # type: ignore[operator]


def _timm_network(network: nn.Module) -> nn.Module:
    return network.network if isinstance(network, Mirrored) else network
