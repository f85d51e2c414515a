"""A tiny network, drawn photos, and a checkpoint of both: no download, no training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageDraw
from torch import nn

from birdedge.runtime.labels import Label
from birdedge.runtime.preprocess import Preprocess
from birdedge.train.checkpoint import CheckpointInfo, Provenance, save_checkpoint
from birdedge.train.layouts import read_dataset
from birdedge.train.provenance import data_digest

SIZE = (64, 64)
CLASSES = ("blue_square", "green_bar", "red_disc")
ARCHITECTURE = "mobilenetv2_035"
MODEL_ARGS = {"pad_type": "same"}


@dataclass(frozen=True)
class Trained:
    """A checkpoint file, with what is in it."""

    path: Path
    network: nn.Module
    info: CheckpointInfo
    photos: Path


def tiny_network(classes: int = len(CLASSES)) -> nn.Module:
    """A network whose batch norms do something, as a trained one's do."""
    torch.manual_seed(0)
    network = timm.create_model(ARCHITECTURE, num_classes=classes, **MODEL_ARGS)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.uniform_(module.bias, -0.2, 0.4)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def draw_photos(root: Path, part: str, each: int, seed: int) -> None:
    chooser = np.random.default_rng(seed)
    for name in CLASSES:
        folder = root / part / name
        folder.mkdir(parents=True)
        color, shape = name.split("_")
        for number in range(each):
            grey = int(chooser.integers(100, 160))
            image = Image.new("RGB", (80, 72), (grey, grey, grey))
            draw = ImageDraw.Draw(image)
            left, top = (int(value) for value in chooser.integers(2, 10, size=2))
            box = (left, top, left + 60, top + (35 if shape == "bar" else 58))
            (draw.ellipse if shape == "disc" else draw.rectangle)(box, fill=color)
            image.save(folder / f"{number}.png")


@torch.no_grad()
def fit_head(network: nn.Module, root: Path, preprocess: Preprocess) -> None:
    """Solve the last layer on the photos by least squares: a second's worth of training."""
    photos = read_dataset(root).train
    pictures = np.stack([preprocess.fit(Image.open(photo.path)) for photo in photos])
    images = torch.from_numpy(preprocess.normalise(pictures)).permute(0, 3, 1, 2)
    features = network.forward_head(network.forward_features(images), pre_logits=True)
    ones = torch.ones(len(features), 1)
    wanted = nn.functional.one_hot(torch.tensor([photo.label for photo in photos])).float() * 6 - 3
    design = torch.cat([features, ones], dim=1)
    ridge = 10 * torch.eye(design.shape[1])
    solution = torch.linalg.solve(design.T @ design + ridge, design.T @ wanted)
    network.classifier.weight.copy_(solution[:-1].T)
    network.classifier.bias.copy_(solution[-1])


@pytest.fixture(scope="session")
def network() -> nn.Module:
    return tiny_network()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    photos = folder / "shapes"
    draw_photos(photos, "train", each=20, seed=1)
    draw_photos(photos, "test", each=8, seed=2)
    preprocess = Preprocess(input_size=SIZE)
    network = tiny_network()
    fit_head(network, photos, preprocess)
    config = {
        "seed": 3,
        "name": "shapes-tiny",
        "data": {
            "name": "shapes",
            "root": str(photos),
            "species": None,
            "batch_size": 16,
            "workers": 0,
            "val_fraction": 0.3,
            "box_margin": 0.0,
        },
        "model": {
            "name": ARCHITECTURE,
            "pretrained": False,
            "init_from": None,
            "args": MODEL_ARGS,
        },
        "preprocess": preprocess.model_dump(mode="json"),
    }
    info = CheckpointInfo(
        architecture=ARCHITECTURE,
        model_args=MODEL_ARGS,
        labels=tuple(Label(scientific_name=name, dataset_class=name) for name in CLASSES),
        preprocess=preprocess,
        provenance=Provenance(
            command="birdedge train data=folder",
            data_digest=data_digest(read_dataset(photos).train, photos),
            config=config,
        ),
    )
    path = folder / "checkpoint.safetensors"
    save_checkpoint(path, network, info)
    return Trained(path, network, info, photos)
