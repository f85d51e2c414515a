"""Training views: torchvision transforms v2 on one uint8 picture, and mixing over a batch."""

from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat
from torch import Tensor
from torchvision.transforms import v2

_Share = Annotated[float, Field(ge=0, le=1)]


class Augment(BaseModel):
    """How far a training view may be from its photo.

    Attributes:
        min_scale: the smallest part of the photo's area that a random crop may keep.
        flip: probability of mirroring.
        color: strength of brightness, contrast and saturation jitter; hue moves a tenth of it,
            because the colour of a bird is half of its name, and half the circle is all it can.
        rand_augment: magnitude of RandAugment (0 = off, 9 is its authors' default, 30 the most).
        erase: probability of blanking a rectangle.
        mixup: alpha of mixup's Beta distribution (0 = off).
        cutmix: alpha of CutMix's Beta distribution (0 = off).
        mix_probability: how often a batch is mixed at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_scale: Annotated[float, Field(gt=0, le=1)] = 0.5
    flip: _Share = 0.5
    color: Annotated[float, Field(ge=0, le=5)] = 0.2
    rand_augment: Annotated[int, Field(ge=0, le=30)] = 0
    erase: _Share = 0.0
    mixup: NonNegativeFloat = 0.0
    cutmix: NonNegativeFloat = 0.0
    mix_probability: _Share = 1.0

    def view(self, size: tuple[int, int]) -> v2.Transform:
        """A random view of one uint8 ``[3, H, W]`` picture, as uint8 ``[3, *size]``."""
        steps: list[v2.Transform] = [
            v2.RandomResizedCrop(size, scale=(self.min_scale, 1.0), antialias=True),
            v2.RandomHorizontalFlip(self.flip),
        ]
        if self.rand_augment:
            steps.append(v2.RandAugment(magnitude=self.rand_augment))
        if self.color:
            steps.append(v2.ColorJitter(self.color, self.color, self.color, self.color / 10))
        if self.erase:
            steps.append(v2.RandomErasing(self.erase))
        return v2.Compose(steps)

    def mix(self, images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Mix the photos of a batch with one another.

        Args:
            images: float ``[N, 3, H, W]``.
            labels: class numbers, int64 ``[N]``.
            classes: how many classes there are.

        Returns:
            The mixed images and class probabilities ``[N, classes]``; or the arguments as they
            came when this batch is not mixed.
        """
        kinds: list[v2.Transform] = []
        if self.mixup:
            kinds.append(v2.MixUp(alpha=self.mixup, num_classes=classes))
        if self.cutmix:
            kinds.append(v2.CutMix(alpha=self.cutmix, num_classes=classes))
        if not kinds or torch.rand(()) >= self.mix_probability:
            return images, labels
        mixed, probabilities = v2.RandomChoice(kinds)(images, labels)
        return mixed, probabilities
