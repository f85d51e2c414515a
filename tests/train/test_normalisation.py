"""A network sees pictures normalised as those were that its weights come from."""

import timm

from birdedge.runtime.preprocess import Preprocess
from birdedge.train.normalisation import normalised_as

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SETTINGS = {"input_size": [64, 64], "mean": None, "std": None}


def test_hub_weights_keep_their_normalisation() -> None:
    network = timm.create_model("mobilenetv2_035", pretrained=False)
    preprocess = normalised_as(SETTINGS, None, network.pretrained_cfg)

    assert preprocess == Preprocess(input_size=(64, 64), **IMAGENET)


def test_a_checkpoint_keeps_its_normalisation() -> None:
    begun_with = Preprocess(input_size=(224, 224), mean=(0.1, 0.2, 0.3))

    assert normalised_as(SETTINGS, begun_with, IMAGENET) == Preprocess(
        input_size=(64, 64), mean=(0.1, 0.2, 0.3)
    )


def test_a_setting_goes_before_what_the_weights_came_with() -> None:
    settings = SETTINGS | {"mean": [0, 0, 0]}

    preprocess = normalised_as(settings, None, IMAGENET)
    assert (preprocess.mean, preprocess.std) == ((0, 0, 0), IMAGENET["std"])
    assert normalised_as(settings, Preprocess(), None).mean == (0, 0, 0)


def test_where_nothing_is_known_of_the_weights_it_is_a_half() -> None:
    assert normalised_as(SETTINGS, None, None) == Preprocess(input_size=(64, 64))
    assert normalised_as({"input_size": [64, 64]}, None, None) == Preprocess(input_size=(64, 64))
