"""The average of the weights: how much of it is of the run's first steps."""

from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.utils.data import DataLoader

from birdedge.train.averaging import averaging


class CountsItsSteps(L.LightningModule):
    """Has its only weight grow by one a step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.frozen = nn.Parameter(torch.tensor(0.3), requires_grad=False)

    def training_step(self, batch: Tensor, batch_index: int) -> Tensor:
        return -self.weight

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def kept_after(steps: int, decay: float, *, warmup: bool) -> float:
    module = CountsItsSteps()
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, max_epochs=1,
        enable_model_summary=False, enable_progress_bar=False,
        callbacks=averaging(decay, warmup=warmup),
    )  # fmt: skip
    trainer.fit(module, DataLoader(torch.zeros(steps), batch_size=1))  # type: ignore[arg-type]
    if warmup:
        assert torch.equal(module.frozen, torch.tensor(0.3))
    return float(module.weight.detach())


def by_hand(steps: int, decay_after: Callable[[int], float]) -> float:
    average = 1.0  # the first step's weight begins it
    for step in range(1, steps):
        average += (1 - decay_after(step)) * (step + 1 - average)
    return average


@pytest.mark.parametrize("steps", [1, 2, 30, 200])
def test_the_warm_up_is_tensorflows(steps: int) -> None:
    expected = by_hand(steps, lambda step: min(0.9, (1 + step) / (10 + step)))

    assert kept_after(steps, 0.9, warmup=True) == pytest.approx(expected, rel=1e-5)


def test_a_short_run_keeps_what_it_learned_only_with_the_warm_up() -> None:
    assert kept_after(30, 0.99, warmup=True) > 24
    assert kept_after(30, 0.99, warmup=False) == pytest.approx(by_hand(30, lambda _: 0.99), 1e-5)
    assert kept_after(30, 0.99, warmup=False) < 6


@pytest.mark.parametrize("recipe", ["default_model", "resnet50", "../recover"])
def test_what_was_published_is_made_as_it_was(repository: Path, recipe: str) -> None:
    text = (repository / "configs" / "experiment" / f"{recipe}.yaml").read_text(encoding="utf-8")

    assert yaml.safe_load(text)["trainer"]["ema_warmup"] is False
