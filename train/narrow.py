"""Networks with fewer channels than their architecture begins with, as pruning leaves them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..runtime.errors import CheckpointError


def narrow(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a network's layers the shapes of some weights; the weights are still to be loaded.

    Convolutions (plain and depthwise), batch norms and linear layers can be narrowed. Linear layers
    keep their outputs: those of the classifier are the classes.

    Args:
        network: changed in place; what it held is lost where shapes differ.
        weights: of the same architecture with fewer channels, by name.

    Raises:
        CheckpointError: a layer of another kind has another shape.
    """
    for name, module in network.named_modules():
        own = {**dict(module.named_parameters(recurse=False)), **_buffers(module)}
        shapes = {
            key: weights[_join(name, key)].shape for key in own if _join(name, key) in weights
        }
        if any(own[key].shape != shape for key, shape in shapes.items()):
            _reshape(name, module, shapes)


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_buffers(recurse=False))


def _reshape(name: str, module: nn.Module, shapes: Mapping[str, torch.Size]) -> None:
    match module:
        case nn.Conv2d(groups=1):
            module.out_channels, module.in_channels = shapes["weight"][:2]
        case nn.Conv2d() if module.groups == module.in_channels == module.out_channels:
            channels = shapes["weight"][0]
            module.groups = module.in_channels = module.out_channels = channels
        case nn.BatchNorm2d():
            (module.num_features,) = shapes["weight"]
        case nn.Linear():
            module.in_features = shapes["weight"][1]
            shapes = {"weight": torch.Size([module.out_features, module.in_features])}
        case _:
            raise CheckpointError(f"{name} is of a kind that cannot have fewer channels")
    for key, shape in shapes.items():
        buffer = module._buffers.get(key)
        if buffer is not None:
            # Those that count steps do so in whole numbers.
            setattr(module, key, torch.zeros(shape, dtype=buffer.dtype))
        else:
            setattr(module, key, nn.Parameter(torch.zeros(shape)))


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
