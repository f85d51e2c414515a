"""Function matching: the student is drawn to the teacher's whole output."""

import copy

import pytest
import torch
from torch import Tensor, nn

from birdedge.runtime.preprocess import Preprocess
from birdedge.train.distill import Distillation, Teacher

HALVES = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
IMAGENET = Preprocess(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def small_network(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 5),
    )


def match(teacher: nn.Module, temperature: float = 1.0) -> Distillation:
    return Distillation([Teacher(teacher, HALVES)], HALVES, temperature=temperature)


def test_the_loss_is_zero_where_the_student_is_the_teacher() -> None:
    torch.manual_seed(0)
    teacher = small_network(8)
    images = torch.randn(4, 3, 16, 16)

    loss = match(copy.deepcopy(teacher)).loss(images, teacher(images))

    assert loss.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_is_positive_where_they_differ(temperature: float) -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 3, 16, 16)

    assert match(small_network(8), temperature).loss(images, small_network(8)(images)) > 1e-4


def test_the_loss_is_the_divergence_from_teacher_to_student() -> None:
    class Fixed(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.tensor([[0.75, 0.25]]).log()

    loss = match(Fixed()).loss(torch.zeros(1, 3, 4, 4), torch.tensor([[0.5, 0.5]]).log())

    # 0.75 ln(0.75 / 0.5) + 0.25 ln(0.25 / 0.5)
    assert loss.item() == pytest.approx(0.130812, abs=1e-5)


def test_the_teacher_sees_the_view_in_its_own_normalisation() -> None:
    class Witness(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            self.seen = images
            return torch.zeros(len(images), 5)

    teacher = Witness()
    distillation = Distillation([Teacher(teacher, IMAGENET)], HALVES)
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8).numpy()
    pixels = pixels.transpose(0, 2, 3, 1)

    student_view = torch.from_numpy(HALVES.normalise(pixels)).permute(0, 3, 1, 2)
    distillation.loss(student_view, torch.zeros(2, 5))

    expected = torch.from_numpy(IMAGENET.normalise(pixels)).permute(0, 3, 1, 2)
    assert torch.allclose(teacher.seen, expected, atol=1e-5)


def test_a_teacher_of_another_size_sees_the_whole_view_at_its_own() -> None:
    class Witness(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            self.seen = images
            return torch.zeros(len(images), 5)

    teacher = Witness()
    small, large = (HALVES.model_copy(update={"input_size": (side, side)}) for side in (8, 16))
    left_is_dark = torch.ones(1, 3, 8, 8)
    left_is_dark[..., :4] = -1

    Distillation([Teacher(teacher, large)], small).loss(left_is_dark, torch.zeros(1, 5))

    assert teacher.seen.shape == (1, 3, 16, 16)
    assert teacher.seen[..., :6].max() < 0 < teacher.seen[..., 10:].min()


def test_of_two_teachers_the_mean_probability_is_learned() -> None:
    class Fixed(nn.Module):
        def __init__(self, *probabilities: float) -> None:
            super().__init__()
            self.logits = torch.tensor([probabilities]).log() + 7

        def forward(self, images: Tensor) -> Tensor:
            return self.logits

    teachers = [Teacher(Fixed(0.9, 0.1), HALVES), Teacher(Fixed(0.3, 0.7), HALVES)]
    distillation = Distillation(teachers, HALVES)
    images = torch.zeros(1, 3, 4, 4)

    assert distillation.loss(images, torch.tensor([[0.6, 0.4]]).log()).item() == pytest.approx(
        0, abs=1e-6
    )
    # 0.6 ln(0.6 / 0.5) + 0.4 ln(0.4 / 0.5)
    assert distillation.loss(images, torch.zeros(1, 2)).item() == pytest.approx(0.020136, abs=1e-5)


def test_a_short_run_brings_the_student_closer_and_leaves_the_teacher_alone() -> None:
    torch.manual_seed(0)
    teacher, student = small_network(16), small_network(8)
    teacher[-1].weight.data.mul_(10)
    kept = copy.deepcopy(teacher.state_dict())
    distillation = match(teacher)
    unseen = torch.randn(64, 3, 16, 16)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.01)
    before = distillation.loss(unseen, student(unseen)).item()

    for _ in range(100):
        images = torch.randn(32, 3, 16, 16)
        optimizer.zero_grad()
        distillation.loss(images, student(images)).backward()
        optimizer.step()

    assert distillation.loss(unseen, student(unseen)).item() < before / 2
    assert all(torch.equal(kept[name], value) for name, value in teacher.state_dict().items())
