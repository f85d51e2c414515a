"""A network that looks at each picture twice: as it is and mirrored."""

import torch
from torch import Tensor, nn


class Mirrored(nn.Module):
    """Averages a network's answers to a picture and to its mirror image.

    A bird's name does not depend on which way it faces; what differs between the two answers is
    error, and averaging takes part of it out. It costs twice the computation and no more weights.
    Test-time augmentation by flipping: Simonyan and Zisserman, arXiv:1409.1556, section 3.2.

    Args:
        network: images ``[N, 3, H, W]`` to logits ``[N, classes]``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Mean logits ``[N, classes]`` of images ``[N, 3, H, W]``."""
        # One batch, not two calls: exported, the network stands in the graph once.
        logits: Tensor = self.network(torch.cat([images, images.flip(3)]))
        return logits.reshape(2, -1, logits.shape[1]).mean(dim=0)

    def forward_features(self, images: Tensor) -> Tensor:
        """Mean of both last feature maps, the mirror image's mirrored back.

        Where the head is linear, its answer to this mean is the mean of its answers.
        """
        maps: Tensor = self.network.forward_features(  # type: ignore[operator]
            torch.cat([images, images.flip(3)])
        )
        as_is, mirrored = maps.reshape(2, -1, *maps.shape[1:])
        mean: Tensor = (as_is + mirrored.flip(3)) / 2
        return mean

    def forward_head(self, maps: Tensor) -> Tensor:
        """Logits ``[N, classes]`` of feature maps."""
        logits: Tensor = self.network.forward_head(maps)  # type: ignore[operator]
        return logits
