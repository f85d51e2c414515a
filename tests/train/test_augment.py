"""Training views and mixing."""

import pytest
import torch
from pydantic import ValidationError

from birdedge.train.augment import Augment


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_gives_soft_labels_that_sum_to_one(kind: str) -> None:
    torch.manual_seed(0)
    images, labels = torch.rand(6, 3, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2])

    mixed, targets = Augment(**{kind: 1.0}).mix(images, labels, classes=4)

    assert mixed.shape == images.shape
    assert not torch.equal(mixed, images)
    assert targets.shape == (6, 4)
    assert torch.allclose(targets.sum(dim=1), torch.ones(6))
    assert (targets[:, 3] == 0).all()
    assert ((targets > 0).sum(dim=1) == 2).any()


def test_without_mixing_a_batch_comes_back_as_it_was() -> None:
    images, labels = torch.rand(2, 3, 8, 8), torch.tensor([0, 1])

    mixed, targets = Augment().mix(images, labels, classes=2)

    assert mixed is images
    assert targets is labels


def test_mix_probability_zero_never_mixes() -> None:
    images, labels = torch.rand(2, 3, 8, 8), torch.tensor([0, 1])

    assert Augment(mixup=1.0, mix_probability=0.0).mix(images, labels, classes=2)[1] is labels


def test_a_view_is_a_picture_of_the_input_size() -> None:
    view = Augment(rand_augment=9, color=0.4, erase=1.0).view((24, 40))

    picture = view(torch.randint(0, 256, (3, 64, 80), dtype=torch.uint8))

    assert picture.shape == (3, 24, 40)
    assert picture.dtype == torch.uint8


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="blur"):
        Augment(blur=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("min_scale", 0.0),
        ("min_scale", 1.1),
        ("flip", -0.1),
        ("flip", 1.1),
        ("color", -0.1),
        ("color", 5.1),
        ("rand_augment", 31),
        ("erase", 1.1),
        ("mixup", -1.0),
        ("mixup", float("nan")),
        ("cutmix", float("inf")),
        ("mix_probability", 1.1),
    ],
)
def test_a_strength_that_no_view_can_have_is_refused(setting: str, value: float) -> None:
    with pytest.raises(ValidationError, match=setting):
        Augment.model_validate({setting: value})


@pytest.mark.parametrize(
    "strongest",
    [
        Augment(min_scale=1.0, flip=1.0, color=5.0, rand_augment=30, erase=1.0),
        Augment(min_scale=1e-6, flip=0.0),
    ],
)
def test_the_strongest_views_that_are_allowed_are_views(strongest: Augment) -> None:
    view = strongest.view((24, 40))
    picture = torch.randint(0, 256, (3, 64, 80), dtype=torch.uint8)

    # RandAugment draws other operations each time.
    assert {view(picture).shape for _ in range(30)} == {(3, 24, 40)}
