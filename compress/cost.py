"""What a network costs to keep and to run, before any engine is asked."""

import torch
from torch import Tensor, nn

_Layer = nn.Conv2d | nn.Linear


class MacCounter:
    """Counts a network's multiply-adds, again and again while its layers lose channels.

    Those of convolutions and linear layers, as is usual: what activations, pooling and batch norms
    (which engines fold) add is left out. A weight is used once at each position of its layer's
    output, and how many positions there are, pruning does not change: the network runs only once.

    Args:
        network: images ``[N, 3, H, W]`` to anything.
        input_size: height and width of a picture, in pixels.
    """

    def __init__(self, network: nn.Module, input_size: tuple[int, int]) -> None:
        self._positions: dict[_Layer, int] = {}
        layers = [layer for layer in network.modules() if isinstance(layer, _Layer)]
        hooks = [layer.register_forward_hook(self._note) for layer in layers]
        training = network.training
        try:
            with torch.no_grad():
                network.eval()(torch.zeros(1, 3, *input_size))
        finally:
            network.train(training)
            for hook in hooks:
                hook.remove()

    def _note(self, layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, _Layer)
        channels = len(layer.weight)
        self._positions[layer] = self._positions.get(layer, 0) + output.numel() // channels

    def count(self) -> int:
        """Multiply-adds of one picture, with the layers as they are now."""
        return sum(layer.weight.numel() * times for layer, times in self._positions.items())


def count_macs(network: nn.Module, input_size: tuple[int, int]) -> int:
    """Multiply-adds of one picture; see `MacCounter`."""
    return MacCounter(network, input_size).count()


def count_parameters(network: nn.Module) -> int:
    """Weights and biases; not the statistics of batch norms."""
    return sum(parameter.numel() for parameter in network.parameters())
