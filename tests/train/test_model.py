"""Networks, weights from files, folded batch norm, checkpoints."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from disks import little_space
from safetensors.torch import save_file
from torch import nn

from birdedge.runtime.errors import CheckpointError
from birdedge.runtime.labels import Label
from birdedge.runtime.preprocess import Preprocess
from birdedge.train.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
from birdedge.train.half import halve
from birdedge.train.model import (
    batch_norms,
    check_input_size,
    create_network,
    has_folded_batch_norm,
    load_weights,
    network_of,
    restore_batch_norm,
)
from birdedge.train.narrow import narrow


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_file(create_network("test_resnet", 5).state_dict(), path)
    return path


def test_weights_are_loaded_all_but_a_classifier_of_another_size(weights: Path) -> None:
    torch.manual_seed(1)
    source, other = create_network("test_resnet", 5), create_network("test_resnet", 7)

    load_weights(source, weights)
    load_weights(other, weights)

    assert torch.equal(source.conv1[0].weight, other.conv1[0].weight)
    assert other(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_weights_of_another_architecture_are_refused(weights: Path) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit this architecture: .* unknown"):
        load_weights(create_network("test_efficientnet", 5), weights)


def test_nan_weights_are_refused_by_name(tmp_path: Path) -> None:
    network = create_network("test_resnet", 5)
    state = network.state_dict()
    state["fc.bias"][2] = float("nan")
    save_file(state, tmp_path / "nan.safetensors")

    with pytest.raises(CheckpointError, match=r"fc\.bias has NaN or infinite weights"):
        load_weights(network, tmp_path / "nan.safetensors")


def test_a_truncated_file_is_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-1000])

    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        load_weights(create_network("test_resnet", 5), weights)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no weights at"):
        load_weights(create_network("test_resnet", 5), tmp_path / "none.safetensors")


def test_a_hub_out_of_reach_is_answered_with_the_setting_for_local_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(CheckpointError, match=r"model\.init_from=FILE"):
        create_network("test_resnet", 5, pretrained=True)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise ConnectionError("out of reach")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fetch)


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("architecture", "arguments", "message"),
    [
        ("test_resnet", {"drop_rat": 0.1}, r"cannot build test_resnet: .*'drop_rat'"),
        ("test_resnet.r1605", {}, r"cannot build test_resnet\.r1605: Invalid pretrained tag"),
        ("mobilenetv2_035", {}, r"for mobilenetv2_035 \(No pretrained weights exist"),
        ("test_resnet", {"drop_rate": 0.1}, r"from the model hub \(ConnectionError\)"),
    ],
    ids=["argument", "tag", "no-weights", "hub"],
)
def test_the_hub_is_blamed_for_nothing_but_the_fetching(
    architecture: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        create_network(architecture, 5, pretrained=True, **arguments)

    assert ("model hub" in str(caught.value)) == ("ConnectionError" in message)


def test_pretrained_weights_that_do_not_fit_are_not_blamed_on_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched = create_network("test_resnet", 1000).state_dict()
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *_, **__: fetched)

    create_network("test_resnet", 5, pretrained=True)
    with pytest.raises(CheckpointError, match=r"\(Error\(s\) in loading state_dict.*model\.args"):
        create_network("test_resnet", 5, pretrained=True, channels=(32, 48, 48, 192))


def test_an_unknown_architecture_is_answered_with_near_ones() -> None:
    with pytest.raises(CheckpointError, match=r"no model 'resnet5O'; did you mean resnet"):
        create_network("resnet5O", 5)


def test_an_argument_that_the_architecture_does_not_take_is_refused() -> None:
    with pytest.raises(CheckpointError, match="cannot build test_resnet"):
        create_network("test_resnet", 5, wings=2)


def test_a_network_that_has_learnt_nothing_is_not_taken_for_a_folded_one() -> None:
    assert not has_folded_batch_norm(create_network("mobilenetv2_035", 5))


@pytest.mark.real
def test_restored_batch_norms_keep_the_function_of_the_real_weights(inat_weights: Path) -> None:
    torch.manual_seed(0)
    network = create_network("mobilenetv2_100", 965, pad_type="same").eval()
    load_weights(network, inat_weights)
    assert has_folded_batch_norm(network)
    images = nn.functional.interpolate(torch.rand(8, 3, 14, 14) * 2 - 1, size=224, mode="bicubic")
    with torch.inference_mode():
        before = network(images)

    restore_batch_norm(network, [images[:5], images[5:]])

    with torch.inference_mode():
        after = network(images)
    assert not has_folded_batch_norm(network)
    assert (after - before).abs().max() < 1e-3 * before.abs().max()
    norm = batch_norms(network)[0]
    assert norm.running_var is not None
    assert (norm.running_var != 1).any()


def test_restored_batch_norms_compute_the_same_in_training_mode() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    network[1].bias.data.normal_()
    assert has_folded_batch_norm(network)
    images = torch.rand(16, 3, 12, 12)
    before = network.eval()(images)

    restore_batch_norm(network, [images])

    # With the statistics of this very batch, training mode normalises by the same numbers.
    assert torch.allclose(network.train()(images), before, atol=1e-5)


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path) -> None:
    network = create_network("test_resnet", 2)
    info = CheckpointInfo(
        architecture="test_resnet",
        labels=(Label(scientific_name="Pica pica"), Label(scientific_name="Corvus corax")),
        preprocess=Preprocess(input_size=(64, 64)),
        metrics={"val/top1": 0.5},
    )
    path = tmp_path / "checkpoint.safetensors"

    save_checkpoint(path, network, info)
    read, weights = load_checkpoint(path)

    assert read == info
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_network_of_one_input_size_says_so_and_one_of_any_is_as_it_was() -> None:
    fixed, other = (
        create_network("vit_tiny_patch16_224", 3, **size) for size in ({}, {"img_size": 64})
    )
    with pytest.raises(CheckpointError, match=r"pictures of 64x64 pixels .*model\.args\.img_size"):
        check_input_size(fixed, (64, 64))
    check_input_size(fixed, (224, 224))
    check_input_size(other, (64, 64))

    network = create_network("test_resnet", 3).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    check_input_size(network, (48, 80))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_weights_alone_are_no_checkpoint(weights: Path) -> None:
    with pytest.raises(CheckpointError, match="holds weights alone"):
        load_checkpoint(weights)


def test_a_checkpoint_that_does_not_fit_the_disk_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"older")
    info = CheckpointInfo(architecture="test_resnet", labels=(), preprocess=Preprocess())
    network = create_network("test_resnet", 5)

    full = pytest.raises(CheckpointError, match=r"cannot write .*checkpoint\.safetensors: .*large")
    with full, little_space():
        save_checkpoint(path, network, info)

    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_in_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    info = CheckpointInfo(architecture="test_resnet", labels=(), preprocess=Preprocess())
    with pytest.raises(CheckpointError, match=r"cannot write .*nowhere.*No such file"):
        save_checkpoint(tmp_path / "nowhere" / "x", create_network("test_resnet", 5), info)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_could_not_be_read_back_are_not_written(tmp_path: Path, value: float) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"older")
    info = CheckpointInfo(architecture="test_resnet", labels=(), preprocess=Preprocess())
    network = create_network("test_resnet", 5)
    nn.init.constant_(network.fc.bias, value)

    with pytest.raises(CheckpointError, match=r"cannot write .*: fc\.bias has NaN or infinite"):
        save_checkpoint(path, network, info)

    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_halved_checkpoint_is_half_as_large_and_answers_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = create_network("test_resnet", 5).eval()
    labels = tuple(Label(scientific_name=name) for name in "abcde")
    info = CheckpointInfo(architecture="test_resnet", labels=labels, preprocess=Preprocess())
    save_checkpoint(tmp_path / "whole", network, info)

    halve(tmp_path / "whole", tmp_path / "half")

    read, weights = load_checkpoint(tmp_path / "half")
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(
        network_of(read, weights)(images), network(images), rtol=1e-2, atol=1e-3
    )
    sizes = [(tmp_path / name).stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.52 * sizes[1]


def test_steps_that_were_counted_stay_whole_numbers_in_a_narrow_network() -> None:
    wide, slim = torch.nn.BatchNorm2d(8), torch.nn.BatchNorm2d(4)
    narrow(wide, slim.state_dict())

    assert wide.num_batches_tracked is not None
    assert wide.num_batches_tracked.dtype == torch.int64
    assert wide.running_mean is not None and wide.running_mean.shape == (4,)


def test_steps_that_were_counted_stay_whole_numbers_in_half_a_checkpoint(tmp_path: Path) -> None:
    """A long training counts beyond what float16 holds."""
    network = create_network("test_resnet", 5)
    labels = tuple(Label(scientific_name=name) for name in "abcde")
    info = CheckpointInfo(architecture="test_resnet", labels=labels, preprocess=Preprocess())
    weights = {
        name: torch.tensor(70_000) if name.endswith("num_batches_tracked") else tensor
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(weights)
    save_checkpoint(tmp_path / "whole", network, info)

    halve(tmp_path / "whole", tmp_path / "half")

    _, read = load_checkpoint(tmp_path / "half")
    counted = [tensor for name, tensor in read.items() if name.endswith("num_batches_tracked")]
    assert counted
    assert {(tensor.dtype, int(tensor)) for tensor in counted} == {(torch.int64, 70_000)}


def test_halving_what_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# birdedge")
    command = [sys.executable, "-m", "birdedge.train.half", "README.md", "o"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("birdedge: README.md is not a whole safetensors file")
    assert len(done.stderr.splitlines()) == 1


def test_weights_beyond_float16_are_not_halved(tmp_path: Path) -> None:
    network = create_network("test_resnet", 5)
    torch.nn.init.constant_(network.fc.bias, 1e6)
    labels = tuple(Label(scientific_name=name) for name in "abcde")
    info = CheckpointInfo(architecture="test_resnet", labels=labels, preprocess=Preprocess())
    save_checkpoint(tmp_path / "whole", network, info)

    with pytest.raises(CheckpointError, match=r"weights up to 1e\+06, beyond float16"):
        halve(tmp_path / "whole", tmp_path / "half")
