"""Learning from a teacher instead of from labels.

Beyer et al., "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022
(arXiv:2106.05237, 2021): teacher and student see the very same augmented, mixed view; the student
matches the teacher's whole output there, with no ground-truth labels, for a long time.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..runtime.preprocess import Preprocess


class Distillation:
    """The function-matching loss against a frozen teacher.

    Not an ``nn.Module`` on purpose: the teacher must be neither trained, nor averaged, nor saved
    with the student.

    Args:
        teacher: any classifier with the student's classes, in the student's order.
        temperature: softens both outputs; the gradient is scaled back by its square
            (Hinton et al., arXiv:1503.02531).
        student_preprocess: how the batches were normalised.
        teacher_preprocess: how the teacher wants them normalised.
    """

    def __init__(
        self,
        teacher: nn.Module,
        temperature: float,
        *,
        student_preprocess: Preprocess,
        teacher_preprocess: Preprocess,
    ) -> None:
        self._teacher = teacher.eval().requires_grad_(False)
        self._temperature = temperature
        mean, std = _per_channel(student_preprocess)
        to_mean, to_std = _per_channel(teacher_preprocess)
        self._scale, self._shift = std / to_std, (mean - to_mean) / to_std

    def loss(self, images: Tensor, student_logits: Tensor) -> Tensor:
        """Mean Kullback-Leibler divergence from teacher to student.

        Args:
            images: the batch that the student saw, float ``[N, 3, H, W]``.
            student_logits: ``[N, classes]``.

        Returns:
            A scalar, in nats times the squared temperature.
        """
        with torch.no_grad():
            self._teacher.to(images.device)
            scale, shift = self._scale.to(images.device), self._shift.to(images.device)
            teacher_logits = self._teacher(images * scale + shift)
        # In float32 whatever the autocast: differences of log-probabilities cancel in bfloat16.
        student = F.log_softmax(student_logits.float() / self._temperature, dim=1)
        teacher = F.log_softmax(teacher_logits.float() / self._temperature, dim=1)
        divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
        return divergence * self._temperature**2


def _per_channel(preprocess: Preprocess) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, each ``[1, 3, 1, 1]``."""
    return (
        torch.tensor(preprocess.mean).view(1, 3, 1, 1),
        torch.tensor(preprocess.std).view(1, 3, 1, 1),
    )
