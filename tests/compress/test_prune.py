"""Channels go, shapes stay: real timm networks, pruned and rebuilt from their checkpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from birdedge.compress.cost import count_macs
from birdedge.compress.latency import Deadline, share_in_time
from birdedge.compress.prune import Pruning, prune
from birdedge.compress.shrink import measure, prune_checkpoint
from birdedge.runtime.errors import CheckpointError
from birdedge.train.checkpoint import load_checkpoint, save_checkpoint
from birdedge.train.model import create_network, load_weights, network_of

SIZE = (64, 64)


def network(architecture: str) -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = timm.create_model(architecture, num_classes=5).eval()
    return made


def convolutions(pruned: nn.Module) -> list[nn.Conv2d]:
    return [module for module in pruned.modules() if isinstance(module, nn.Conv2d)]


def photos() -> Iterator[tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    yield torch.randn(6, 3, *SIZE), torch.arange(6) % 5


@pytest.mark.parametrize(
    "architecture", ["resnet18", "resnet50", "mobilenetv2_100", "efficientnet_lite0"]
)
def test_a_pruned_network_fits_its_goal_and_keeps_its_classes(architecture: str) -> None:
    pruned = network(architecture)
    whole = count_macs(pruned, SIZE)

    prune(pruned, SIZE, Pruning(macs=0.5))

    assert 0.35 * whole < count_macs(pruned, SIZE) <= 0.5 * whole
    assert pruned(torch.zeros(2, 3, *SIZE)).shape == (2, 5)
    assert all(layer.out_channels % 8 == 0 for layer in convolutions(pruned))


@pytest.mark.parametrize("importance", ["magnitude", "taylor", "lamp"])
@pytest.mark.parametrize("scope", ["local", "global"])
def test_every_importance_ranks_channels_in_either_scope(importance: str, scope: str) -> None:
    pruned = network("resnet18")
    whole = count_macs(pruned, SIZE)

    prune(pruned, SIZE, Pruning(0.7, importance, scope, steps=2), photos)

    assert count_macs(pruned, SIZE) <= 0.7 * whole
    assert all(parameter.grad is None for parameter in pruned.parameters())


def test_local_pruning_narrows_all_stages_and_global_pruning_where_it_matters_least() -> None:
    kept = {}
    for scope in ("local", "global"):
        pruned = network("resnet18")
        prune(pruned, SIZE, Pruning(0.6, scope=scope))
        kept[scope] = [
            after.out_channels / before.out_channels
            for before, after in zip(
                convolutions(network("resnet18")), convolutions(pruned), strict=True
            )
        ]

    assert max(kept["local"]) - min(kept["local"]) < 0.15
    assert max(kept["global"]) - min(kept["global"]) > 0.3


def test_channels_without_effect_go_first() -> None:
    pruned = network("resnet18")
    block = pruned.layer1[0]
    torch.manual_seed(2)
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        block.conv1.weight[:32] = 0
        block.bn1.weight[:32] = 0
        block.conv2.weight[:, :32] = 0
        expected = pruned(images)
    wanted = block.conv1.weight[32:].clone()

    # So little that nothing but them has to go.
    prune(pruned, SIZE, Pruning(0.985, scope="global", round_to=1))

    assert len(block.conv1.weight) < 64
    assert torch.equal(block.conv1.weight[-32:], wanted)
    torch.testing.assert_close(pruned(images), expected, rtol=1e-4, atol=1e-4)


def test_the_taylor_importance_needs_photos() -> None:
    with pytest.raises(CheckpointError, match="measured on photos, and there are none"):
        prune(network("resnet18"), SIZE, Pruning(0.5, "taylor"))


def test_a_network_that_cannot_be_pruned_says_so() -> None:
    transformer = timm.create_model("vit_tiny_patch16_224", num_classes=5, img_size=64).eval()

    with pytest.raises(CheckpointError, match="this network cannot be pruned: "):
        prune(transformer, SIZE, Pruning(0.5))


def test_a_goal_out_of_reach_says_how_far_it_can_go() -> None:
    with pytest.raises(CheckpointError, match=r"to 1% .* multiples of 64 \d+% is the least"):
        prune(network("resnet18"), SIZE, Pruning(0.01, round_to=64))


def test_a_pruned_checkpoint_is_rebuilt_with_its_own_shapes(trained, tmp_path: Path) -> None:
    prune_checkpoint(trained.path, tmp_path / "pruned.safetensors", Pruning(0.6))

    info, weights = load_checkpoint(tmp_path / "pruned.safetensors")
    rebuilt = network_of(info, weights)
    figures = measure({"as trained": trained.path, "pruned": tmp_path / "pruned.safetensors"})

    assert info.pruning["macs"] == 0.6
    assert info.labels == trained.info.labels
    assert rebuilt(torch.zeros(1, 3, *SIZE)).shape == (1, 3)
    assert figures["pruned"].macs <= 0.6 * figures["as trained"].macs
    assert figures["pruned"].parameters < figures["as trained"].parameters
    assert figures["pruned"].megabytes < figures["as trained"].megabytes
    assert figures["as trained"].agreement == 1


def test_weights_of_other_shapes_that_no_pruning_explains_are_refused(
    trained, tmp_path: Path
) -> None:
    prune_checkpoint(trained.path, tmp_path / "pruned.safetensors", Pruning(0.6))
    info, weights = load_checkpoint(tmp_path / "pruned.safetensors")

    with pytest.raises(CheckpointError, match="not those of a mobilenetv2_035 for 3 classes"):
        network_of(info.model_copy(update={"pruning": {}}), weights)


def test_a_damaged_pruned_checkpoint_is_refused(trained, tmp_path: Path) -> None:
    prune_checkpoint(trained.path, tmp_path / "pruned.safetensors", Pruning(0.6))
    info, weights = load_checkpoint(tmp_path / "pruned.safetensors")
    half = network_of(info, weights)
    del half.conv_head
    save_checkpoint(tmp_path / "half.safetensors", half, info)

    info, weights = load_checkpoint(tmp_path / "half.safetensors")
    with pytest.raises(CheckpointError, match="not those of a mobilenetv2_035"):
        network_of(info, weights)


@pytest.mark.slow
def test_a_deadline_that_pruning_cannot_help_is_refused(trained) -> None:
    said: list[str] = []
    deadline = Deadline(milliseconds=1e-6, target="onnx-fp32")
    pruning = Pruning()

    with pytest.raises(CheckpointError, match="cannot be reached by pruning"):
        share_in_time(
            trained.network,
            trained.info.preprocess,
            pruning,
            deadline,
            photos,
            say=said.append,
        )
    assert any("100% of the multiply-adds: " in line for line in said)


def test_a_network_that_meets_its_deadline_is_left_whole(trained) -> None:
    deadline = Deadline(milliseconds=1e6, target="onnx-fp32")
    share = share_in_time(trained.network, trained.info.preprocess, Pruning(), deadline, photos)
    assert share == 1


def test_the_share_found_is_the_largest_that_is_in_time(
    trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timing is replaced by what it should be proportional to, so that the search is exact."""

    def seconds_by_macs(candidate: nn.Module, *_: object) -> float:
        return count_macs(candidate, SIZE) / whole

    whole = count_macs(trained.network, SIZE)
    monkeypatch.setattr("birdedge.compress.latency.time_target", seconds_by_macs)

    share = share_in_time(
        trained.network, trained.info.preprocess, Pruning(), Deadline(500, "onnx-int8"), photos
    )

    assert 0.45 < share < 0.65


def test_a_pruned_network_for_other_classes_gets_a_fresh_classifier(
    trained, tmp_path: Path
) -> None:
    prune_checkpoint(trained.path, tmp_path / "pruned.safetensors", Pruning(0.6))
    info = trained.info
    begun = create_network(info.architecture, 7, **info.model_args)
    load_weights(begun, tmp_path / "pruned.safetensors")
    assert begun(torch.zeros(1, 3, *SIZE)).shape == (1, 7)
