"""The classifier: which species it knows already, and how a probe is fitted."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from birdedge.runtime.errors import CheckpointError
from birdedge.runtime.labels import Label, read_labels
from birdedge.runtime.preprocess import Preprocess
from birdedge.train.checkpoint import CheckpointInfo, save_checkpoint
from birdedge.train.classifier import species_rows
from birdedge.train.layouts import species_labels
from birdedge.train.model import create_network, load_weights
from birdedge.train.probe import fit_classifier, fit_linear

JAY = Label(scientific_name="Cyanocitta cristata", common_name="Blue Jay", dataset_class="Blue_Jay")
WREN = Label(scientific_name="Troglodytes aedon", common_name="House Wren", dataset_class="Wren")
OWL = Label(scientific_name="Strix varia", common_name="Barred Owl", dataset_class="Owl")


def test_species_are_found_by_any_of_their_names() -> None:
    known = [
        Label(scientific_name="background"),
        Label(scientific_name="Troglodytes aedon"),
        Label(scientific_name="blue jay"),
        Label(scientific_name="barred owl", dataset_class="Barred_Owl"),
    ]

    assert species_rows(known, [JAY, WREN, OWL]) == [2, 1, 3]
    assert species_rows(known[:2], [JAY, OWL]) == [None, None]


def test_a_folder_is_a_species_only_where_nothing_else_is_known() -> None:
    def numbered(*names: str) -> list[Label]:
        return [
            Label(scientific_name=name, dataset_class=str(number))
            for number, name in enumerate(names)
        ]

    known = numbered("Turdus merula", "Parus major", "Pica pica")

    assert species_rows(known, numbered("Strix aluco", "Pica pica", "Tyto alba")) == [None, 2, None]
    assert species_rows(known, [Label(scientific_name="2", dataset_class="2")]) == [2]
    assert species_rows([Label(scientific_name="Wren", dataset_class="Wren")], [WREN]) == [0]


def test_of_two_rows_of_one_name_the_one_at_the_same_place_is_taken() -> None:
    twice = [
        Label(scientific_name="Junco hyemalis", dataset_class="slate"),
        Label(scientific_name="Junco hyemalis", dataset_class="oregon"),
    ]
    assert species_rows(twice, twice) == [0, 1]


def test_the_background_is_found_by_its_folder() -> None:
    background = Label(scientific_name="background", dataset_class="background")
    assert species_rows([JAY, Label(scientific_name="background")], [background]) == [1]


@pytest.fixture
def of_jay_and_wren(tmp_path: Path) -> tuple[Path, nn.Module]:
    """A checkpoint of birdedge, and its network."""
    network = create_network("test_resnet", 2)
    nn.init.normal_(network.fc.bias)
    info = CheckpointInfo(architecture="test_resnet", labels=(JAY, WREN), preprocess=Preprocess())
    save_checkpoint(tmp_path / "jays.safetensors", network, info)
    return tmp_path / "jays.safetensors", network


def begun(path: Path, *labels: Label) -> tuple[nn.Module, int]:
    network = create_network("test_resnet", len(labels))
    return network, load_weights(network, path, labels)


def test_of_the_same_species_the_classifier_is_loaded_as_it_is(of_jay_and_wren) -> None:
    path, source = of_jay_and_wren

    network, known = begun(path, JAY, WREN)

    assert known == 2
    assert torch.equal(network.fc.weight, source.fc.weight)


def test_species_in_another_order_and_new_ones_keep_what_is_known(of_jay_and_wren) -> None:
    path, source = of_jay_and_wren

    network, known = begun(path, OWL, WREN, JAY)

    assert known == 2
    assert torch.equal(network.fc.weight[1:], source.fc.weight.flip(0))
    assert torch.equal(network.fc.bias[1:], source.fc.bias.flip(0))
    assert torch.allclose(network.fc.weight[0], source.fc.weight.mean(dim=0))
    assert torch.equal(network.conv1[0].weight, source.conv1[0].weight)


def test_a_classifier_that_knows_none_of_the_species_is_not_loaded(of_jay_and_wren) -> None:
    path, source = of_jay_and_wren
    strangers = (OWL, Label(scientific_name="Bubo bubo"))

    network, known = begun(path, *strangers)

    assert known == 0
    assert network.fc.weight.shape == source.fc.weight.shape
    assert not torch.equal(network.fc.weight, source.fc.weight)
    assert torch.equal(network.conv1[0].weight, source.conv1[0].weight)


def test_a_list_says_what_other_weights_tell_apart(tmp_path: Path) -> None:
    source = create_network("test_resnet", 3)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    names = tmp_path / "labels.txt"
    names.write_text("background\nTroglodytes aedon (House Wren)\nCyanocitta cristata (Blue Jay)\n")
    network = create_network("test_resnet", 2)

    assert load_weights(network, tmp_path / "weights.safetensors", (JAY, OWL), names) == 1

    assert torch.equal(network.fc.weight[0], source.fc.weight[2])
    assert torch.allclose(network.fc.weight[1], source.fc.weight.mean(dim=0))


def test_of_weights_that_do_not_say_what_they_tell_apart_nothing_is_known(tmp_path: Path) -> None:
    source = create_network("test_resnet", 2)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    network = create_network("test_resnet", 2)

    assert load_weights(network, tmp_path / "weights.safetensors", (JAY, WREN)) == 0

    assert torch.equal(network.fc.weight, source.fc.weight)


def test_a_network_of_two_classifiers_begins_with_what_both_know(tmp_path: Path) -> None:
    def deit(*labels: Label) -> nn.Module:
        made: nn.Module = timm.create_model(
            "deit_tiny_distilled_patch16_224", num_classes=len(labels), img_size=32
        )
        return made

    source = deit(JAY, WREN)
    info = CheckpointInfo(
        architecture="deit_tiny_distilled_patch16_224", labels=(JAY, WREN), preprocess=Preprocess()
    )
    save_checkpoint(tmp_path / "deit", source, info)
    network = deit(WREN)

    assert load_weights(network, tmp_path / "deit", (WREN,)) == 1

    assert torch.equal(network.head.weight[0], source.head.weight[1])
    assert torch.equal(network.head_dist.weight[0], source.head_dist.weight[1])


def test_labels_that_are_not_those_of_the_weights_are_refused(
    of_jay_and_wren, tmp_path: Path
) -> None:
    path, network = of_jay_and_wren
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    names = tmp_path / "labels.txt"
    names.write_text("Blue Jay\n")

    with pytest.raises(
        CheckpointError, match=r"labels\.txt names 1 classes where fc\.\w+ .* 2 rows"
    ):
        load_weights(network, tmp_path / "weights.safetensors", (JAY, WREN), names)
    with pytest.raises(CheckpointError, match=r"says itself what it .* model\.init_labels=null"):
        load_weights(network, path, (JAY, WREN), names)
    with pytest.raises(CheckpointError, match=r"cannot read labels .*nowhere"):
        load_weights(network, tmp_path / "weights.safetensors", (JAY,), tmp_path / "nowhere")
    names.write_text("Turdus merula_Blackbird\nParus major_Great Tit\n")
    with pytest.raises(CheckpointError, match="has none of the 2 species, such as Cyanocitta"):
        load_weights(network, tmp_path / "weights.safetensors", (JAY, WREN), names)
    headless = {n: t for n, t in network.state_dict().items() if not n.startswith("fc.")}
    save_file(headless, tmp_path / "headless.safetensors")
    with pytest.raises(CheckpointError, match="has no classifier for"):
        load_weights(network, tmp_path / "headless.safetensors", (JAY, WREN), names)


def test_a_checkpoint_that_names_other_classes_than_it_has_is_refused(tmp_path: Path) -> None:
    info = CheckpointInfo(
        architecture="test_resnet", labels=(JAY, WREN, OWL), preprocess=Preprocess()
    )
    save_checkpoint(tmp_path / "damaged", create_network("test_resnet", 2), info)

    with pytest.raises(CheckpointError, match=r"damaged names 3 classes where fc\.\w+ .* has 2"):
        begun(tmp_path / "damaged", OWL)


@pytest.mark.real
def test_the_real_weights_know_most_of_the_species(repository: Path, inat_weights: Path) -> None:
    known = inat_weights.parents[1] / "reference_models" / "inat_bird_labels.txt"
    table = repository / "configs" / "data" / "cub100_species.csv"
    classes = tuple(line.split(",")[0] for line in table.read_text().splitlines()[1:])

    rows = species_rows(read_labels(known), species_labels(classes, table))

    assert sum(row is not None for row in rows) == 85


def dark_and_bright() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    images = torch.cat([torch.rand(12, 3, 32, 32) * 0.2, 1 - torch.rand(12, 3, 32, 32) * 0.2])
    return images, torch.tensor([0] * 12 + [1] * 12)


def test_a_linear_probe_separates_what_the_features_separate() -> None:
    images, labels = dark_and_bright()
    network = create_network("test_resnet", 2)

    assert fit_classifier(network, [(images, labels)]) == 1.0
    with torch.inference_mode():
        assert torch.equal(network.eval()(images).argmax(dim=1), labels)


def test_a_probe_stays_near_a_classifier_that_knows_the_species() -> None:
    images, labels = dark_and_bright()
    network = create_network("test_resnet", 2).eval()
    nn.init.normal_(network.fc.weight, std=10)
    with torch.inference_mode():
        before = network(images)

    fit_classifier(network, [(images, labels)], weight_decay=1e6, knows_species=True)
    with torch.inference_mode():
        near = network(images)
    fit_classifier(network, [(images, labels)], weight_decay=1e6)
    with torch.inference_mode():
        nowhere = network(images)

    # The bias is free to move, and moves all photos' answers alike.
    assert torch.allclose((near - before).std(dim=0), torch.zeros(2), atol=1e-2)
    assert torch.allclose(nowhere.std(dim=0), torch.zeros(2), atol=1e-2)
    assert before.std(dim=0).min() > 0.1  # a classifier that says something


def test_a_linear_fit_is_the_best_there_is() -> None:
    torch.manual_seed(0)
    features, labels = torch.randn(60, 4), torch.arange(60) % 3
    start = (torch.randn(3, 4), torch.randn(3))
    std = features.std(dim=0)

    def loss(weight: Tensor, bias: Tensor) -> Tensor:
        away = ((weight - start[0]) * std).square().sum()
        return nn.functional.cross_entropy(features @ weight.T + bias, labels) + 0.05 * away

    weight, bias = fit_linear(features, labels, 3, 0.1, start)

    weight.requires_grad_()
    bias.requires_grad_()
    loss(weight, bias).backward()
    assert weight.grad is not None and bias.grad is not None
    assert weight.grad.abs().max() < 1e-3
    assert bias.grad.abs().max() < 1e-3
