"""A tiny network as timm has large ones, untrained, but with batch norms that do something."""

import timm
import torch
from torch import nn

ARCHITECTURE = "mobilenetv2_035"
MODEL_ARGS = {"pad_type": "same"}


def tiny_network(classes: int) -> nn.Module:
    """In evaluation mode; batch norms are as a trained network's."""
    torch.manual_seed(0)
    network = timm.create_model(ARCHITECTURE, num_classes=classes, **MODEL_ARGS)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.2, 0.4)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()
