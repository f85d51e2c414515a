"""While a network learns for INT8 it computes in INT8's values; afterwards in float as before."""

import timm
import torch
from torch import Tensor, nn

from birdedge.train.quantization_aware import RoundedInput, RoundedWeight, SimulatedInt8


def network() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=3).eval()


def pictures() -> Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_a_channel_of_weights_takes_the_nearest_of_255_values() -> None:
    weight = torch.randn(4, 200, 3, 3, generator=torch.Generator().manual_seed(0))
    weight[1] *= 100  # each channel has a scale of its own
    weight[2] = 0

    rounded = RoundedWeight()(weight)

    steps = weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
    assert ((rounded - weight).abs() <= steps / 2 * 1.001).all()
    assert all(len(channel.unique()) <= 255 for channel in rounded)
    assert len(rounded[0].unique()) > 100


def test_an_input_takes_the_nearest_of_256_values_and_zero_stays_zero() -> None:
    values = torch.linspace(-1, 3, 1000)
    rounding = RoundedInput()
    rounding(values)

    rounding.eval()
    rounded = rounding(torch.cat([values, torch.tensor([0.0, -9.0, 9.0])]))

    step = 4 / 255
    assert ((rounded[:1000] - values).abs() <= step * 0.51).all()
    assert len(rounded.unique()) <= 256
    assert rounded[1000] == 0
    assert rounded[1001] >= -1 - step and rounded[1002] <= 3 + step


def test_gradients_pass_through_the_rounding() -> None:
    weight = torch.randn(2, 8, requires_grad=True)
    RoundedWeight()(weight).sum().backward()
    assert weight.grad is not None
    assert (weight.grad == 1).all()


def test_a_simulated_network_computes_nearly_the_same_and_afterwards_just_the_same() -> None:
    plain = network()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    expected = plain(pictures())

    int8 = SimulatedInt8(plain)
    with torch.no_grad():
        plain.train()(pictures())  # sees the ranges, and moves batch norms
    plain.load_state_dict({n: v for n, v in before.items() if "running" in n}, strict=False)
    simulated = plain.eval()(pictures())
    int8.remove()

    assert plain.state_dict().keys() == before.keys()
    assert torch.equal(plain(pictures()), expected)
    assert 0 < (simulated - expected).abs().max() < 0.2 * expected.abs().max()
