"""What a network costs to keep and to run, before any engine is asked."""

import copy

import torch
from torch import nn


def count_macs(network: nn.Module, input_size: tuple[int, int]) -> int:
    """Multiply-adds of one picture through all layers.

    Args:
        network: images ``[N, 3, H, W]`` to anything.
        input_size: height and width, in pixels.
    """
    import torch_pruning as tp

    # Shapes are all that counting takes: on the meta device nothing is computed.
    shapes = copy.deepcopy(network).to("meta")
    picture = torch.zeros(1, 3, *input_size, device="meta")
    macs, _ = tp.utils.count_ops_and_params(shapes, picture)
    return int(macs)


def count_parameters(network: nn.Module) -> int:
    """Weights and biases; not the statistics of batch norms."""
    return sum(parameter.numel() for parameter in network.parameters())
