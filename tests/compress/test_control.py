"""Layers that INT8 spoils go back to float, as many as the budget asks for and no more."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from birdedge.compress.control import quantize_within, rank_layers
from birdedge.compress.exporters import Exported, load_exporter
from birdedge.compress.features import WithFeatures
from birdedge.compress.mirror import Mirrored
from birdedge.compress.photos import batches
from birdedge.compress.quantizers import CalibrationSet, calibrate
from birdedge.compress.verify import run_exported
from birdedge.runtime.preprocess import Preprocess
from birdedge.train.layouts import read_dataset

PREPROCESS = Preprocess(input_size=(32, 32))
ENGINES = ("onnx", "openvino", "tflite")


class Lopsided(nn.Module):
    """One channel between its second and third layer is a thousand times as large as the others.

    With one range for all of them, the others get a step of the integers or none.
    """

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.widen = nn.Conv2d(8, 8, 1)
        self.narrow = nn.Conv2d(8, 8, 1)
        self.last = nn.Conv2d(8, 8, 3, 2, 1)
        self.head = nn.Linear(8, 4)
        with torch.no_grad():
            self.widen.weight[0] *= 1000
            self.narrow.weight[:, 0] /= 1000

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.widen(self.stem(images).relu()).relu()
        return self.head(self.last(self.narrow(features).relu()).relu().mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def photos(trained) -> CalibrationSet:
    drawn = read_dataset(trained.photos).train[::4]
    return CalibrationSet(np.concatenate([*batches(drawn, PREPROCESS, 0.0)]), PREPROCESS)


@pytest.fixture(params=ENGINES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Exported:
    return load_exporter(request.param).export(Lopsided().eval(), (32, 32), tmp_path)


def stray(model: Exported, source: Exported, photos: CalibrationSet) -> float:
    """Mean difference of logits, in percent of how much they differ from photo to photo."""

    def logits(of: Exported) -> NDArray[np.float32]:
        return run_exported(of, PREPROCESS, photos.pictures)

    wanted = logits(source)
    return float(np.abs(logits(model) - wanted).mean() / wanted.std(axis=0).mean()) * 100


def test_layers_are_named_once_in_order(source: Exported, photos: CalibrationSet) -> None:
    layers = calibrate(source, photos).layers

    assert len(layers) == 5
    assert len(set(layers)) == 5
    if source.engine == "onnx":
        assert layers == ("stem", "widen", "narrow", "last", "head")


def test_the_layers_around_the_lopsided_channel_are_ranked_first(
    source: Exported, photos: CalibrationSet
) -> None:
    _, widen, narrow, _, _ = calibrate(source, photos).layers
    ranked = rank_layers(source, photos)

    if source.engine == "openvino":  # it quantizes what goes into a layer, not what comes out
        assert ranked[0] == narrow
    else:
        assert set(ranked[:2]) == {widen, narrow}


def test_layers_go_back_to_float_until_it_is_good_enough(
    source: Exported, photos: CalibrationSet, tmp_path: Path
) -> None:
    def judge(model: Exported) -> str | None:
        return "strays" if stray(model, source, photos) > 10 else None

    assert judge(calibrate(source, photos).write(tmp_path)) == "strays"
    said: list[str] = []
    done = quantize_within(judge, source, photos, tmp_path, said.append)

    assert judge(done.model) is None
    _, widen, narrow, _, _ = calibrate(source, photos).layers
    if source.engine == "openvino":
        assert done.in_float[0] == narrow
    else:
        assert set(done.in_float) == {widen, narrow}
    assert said[0] == "it strays: ranking 5 layers"
    assert said[-1] == f"{done.in_float[-1]} back to float: it keeps to what was asked for"
    assert len(said) == 1 + len(done.in_float)


def test_what_is_good_enough_at_once_has_no_layer_in_float(
    source: Exported, photos: CalibrationSet, tmp_path: Path
) -> None:
    done = quantize_within(lambda model: None, source, photos, tmp_path)
    assert done.in_float == ()


def test_no_more_than_half_of_the_layers_go_back(
    source: Exported, photos: CalibrationSet, tmp_path: Path
) -> None:
    done = quantize_within(lambda model: "is never right", source, photos, tmp_path)
    assert len(done.in_float) == 2


def test_a_wrapped_network_keeps_the_names_of_its_layers(
    trained, photos: CalibrationSet, tmp_path: Path
) -> None:
    wrapped = WithFeatures(Mirrored(trained.network)).eval()
    source = load_exporter("onnx").export(wrapped, (32, 32), tmp_path)

    layers = calibrate(source, photos).layers
    assert layers[0] == "conv_stem"
    assert layers[-1] == "classifier"
