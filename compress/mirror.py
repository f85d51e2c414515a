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
