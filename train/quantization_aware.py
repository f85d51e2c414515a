"""Quantization-aware training: a network learns to be right although INT8 rounds.

Weights and inputs of every convolution and linear layer are rounded to what 8-bit integers can
hold, and gradients pass through the rounding as if it were not there. Jacob et al., "Quantization
and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018
(arXiv:1712.05877).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization, remove_parametrizations

_MOMENTUM = 0.01
"""Weight of each batch in the moving range of an input, as in ``torch.ao.quantization``."""

_LEAST = 1e-8
"""Smallest step: of a channel or an input that is all zeros."""


class RoundedWeight(nn.Module):
    """Symmetric INT8 with a scale of its own for each output channel.

    Taken before batch norm, that is the same as after: engines fold it into these scales.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """The nearest weights that INT8 has, in the shape they came in, ``[out, ...]``."""
        peaks = weight.detach().abs().flatten(1).amax(dim=1)
        scales = (peaks / 127).clamp_min(_LEAST)
        zeros = torch.zeros_like(scales, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -127, 127)


class RoundedInput(nn.Module):
    """Asymmetric 8-bit integers over the range of values that was seen in training."""

    _low: Tensor
    _high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_low", torch.zeros(()))
        self.register_buffer("_high", torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        """The nearest values that INT8 has; as they are, before any training step."""
        values = values.float()
        if self.training:
            self._see(values.detach())
        if self._low == self._high:
            return values
        step = ((self._high - self._low) / 255).clamp_min(_LEAST)
        zero = (-self._low / step).round().to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(values, step, zero, 0, 255)

    def _see(self, values: Tensor) -> None:
        # Zero, which pads pictures, has to be exact, so it is always in the range.
        low, high = values.min().clamp(max=0), values.max().clamp(min=0)
        momentum = 1.0 if self._low == self._high else _MOMENTUM
        self._low.lerp_(low, momentum)
        self._high.lerp_(high, momentum)


class SimulatedInt8:
    """Makes a network compute as if in INT8, until it is taken off again.

    Sums at the joints of residual blocks stay in float, as in some engines.

    Args:
        network: changed in place; what is added to its state is in its state dict.
    """

    def __init__(self, network: nn.Module) -> None:
        self._layers = [
            layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
        ]
        self._hooks = []
        for layer in self._layers:
            register_parametrization(layer, "weight", RoundedWeight())
            layer.rounded_input = RoundedInput()
            layer.train(network.training)
            self._hooks.append(layer.register_forward_pre_hook(_round_input))

    def remove(self) -> None:
        """Leave the network with the float weights that were learned, under their usual names."""
        for layer, hook in zip(self._layers, self._hooks, strict=True):
            hook.remove()
            del layer.rounded_input
            remove_parametrizations(layer, "weight", leave_parametrized=False)


def _round_input(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    values, *others = inputs
    return layer.rounded_input(values), *others  # type: ignore[operator]
