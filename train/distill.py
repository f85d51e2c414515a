"""Learning from a teacher instead of from labels.

Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022
(arXiv:2106.05237, 2021): teacher and student see the very same augmented, mixed view; the student
matches the teacher's whole output there, with no ground-truth labels, for a long time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..runtime.errors import CheckpointError
from ..runtime.preprocess import Preprocess
from .checkpoint import load_checkpoint
from .model import network_of


@dataclass(frozen=True)
class Teacher:
    """A trained network, and how it wants its pictures.

    Attributes:
        network: any classifier with the student's classes, in the student's order.
        preprocess: for its input size, mean and standard deviation.
    """

    network: nn.Module
    preprocess: Preprocess


def load_teacher(path: Path, classes: Sequence[str]) -> Teacher:
    """A teacher from a checkpoint of `birdedge train`.

    Args:
        path: of the checkpoint.
        classes: names of the data's classes, in order.

    Raises:
        CheckpointError: the file is missing or damaged, or knows other classes or another order.
    """
    info, weights = load_checkpoint(path)
    if len(info.labels) != len(classes):
        raise CheckpointError(
            f"teacher {path} knows {len(info.labels)} classes, the data has {len(classes)}"
        )
    if renamed := info.renamed_class(classes):
        known, name = renamed
        raise CheckpointError(f"teacher {path} knows {known!r} where the data has {name!r}")
    return Teacher(network_of(info, weights), info.preprocess)


class Distillation:
    """The function-matching loss against frozen teachers.

    Not an ``nn.Module`` on purpose: the teachers must be neither trained, nor averaged, nor saved
    with the student.

    Args:
        teachers: of several, the mean of their probabilities is matched.
        student_preprocess: how the batches were normalised.
        temperature: softens both outputs; the gradient is scaled back by its square
            (Hinton et al., arXiv:1503.02531).
        weight: share of the loss that is the teachers'; the rest is the labels'. Below 1, a network
            that is its own teacher learns new labels without forgetting what it knew (Li and Hoiem,
            "Learning without Forgetting", arXiv:1606.09282).
    """

    def __init__(
        self,
        teachers: Sequence[Teacher],
        student_preprocess: Preprocess,
        *,
        temperature: float = 1.0,
        weight: float = 1.0,
    ) -> None:
        self.weight = weight
        self._networks = [teacher.network.eval().requires_grad_(False) for teacher in teachers]
        self._wants = [teacher.preprocess for teacher in teachers]
        self._came = student_preprocess
        self._temperature = temperature

    def loss(self, images: Tensor, student_logits: Tensor) -> Tensor:
        """Mean Kullback-Leibler divergence from the teachers to the student.

        Args:
            images: the batch that the student saw, float ``[N, 3, H, W]``.
            student_logits: ``[N, classes]``.

        Returns:
            A scalar, in nats times the squared temperature.
        """
        # In float32 whatever the autocast: differences of log-probabilities cancel in bfloat16.
        student = F.log_softmax(student_logits.float() / self._temperature, dim=1)
        teacher = self._log_probabilities(images)
        divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
        return divergence * self._temperature**2

    @torch.no_grad()
    def _log_probabilities(self, images: Tensor) -> Tensor:
        """Logarithm of the teachers' mean probabilities, ``[N, classes]``."""
        each = []
        for network, wanted in zip(self._networks, self._wants, strict=True):
            logits = network.to(images.device)(_renormalise(images, self._came, wanted))
            each.append(F.log_softmax(logits.float() / self._temperature, dim=1))
        return torch.stack(each).logsumexp(dim=0) - math.log(len(each))


def _renormalise(images: Tensor, came: Preprocess, wanted: Preprocess) -> Tensor:
    """The same view in another normalisation and size."""
    mean, std = _per_channel(came, images)
    to_mean, to_std = _per_channel(wanted, images)
    images = (images * std + mean - to_mean) / to_std
    if wanted.input_size != came.input_size:
        images = F.interpolate(images, wanted.input_size, mode="bilinear", antialias=True)
    return images


def _per_channel(preprocess: Preprocess, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, each ``[1, 3, 1, 1]``."""
    return (
        like.new_tensor(preprocess.mean).view(1, 3, 1, 1),
        like.new_tensor(preprocess.std).view(1, 3, 1, 1),
    )
