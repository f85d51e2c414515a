"""When a run has come to nothing: its weights are no numbers, or its loss is none for long."""

import lightning as L
import pytest
import torch
from torch import nn

from birdedge.runtime.errors import TrainingError
from birdedge.train.divergence import EndsWhenDiverged


class Network(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


@pytest.fixture
def trainer() -> L.Trainer:
    return L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)


def see(watch: EndsWhenDiverged, trainer: L.Trainer, network: Network, *losses: float) -> None:
    for number, loss in enumerate(losses):
        watch.on_train_batch_end(trainer, network, {"loss": torch.tensor(loss)}, None, number)


def test_a_loss_that_overflows_now_and_then_ends_nothing(trainer: L.Trainer) -> None:
    """With trainer.precision=16-mixed such steps are left out, and the weights stay as they are."""
    see(EndsWhenDiverged(), trainer, Network(), *([float("inf")] * 19 + [1.0]) * 3)


def test_a_loss_that_stays_nan_ends_the_run(trainer: L.Trainer) -> None:
    watch, network = EndsWhenDiverged(), Network()
    see(watch, trainer, network, *[float("nan")] * 19)
    with pytest.raises(TrainingError, match=r"diverged in epoch 0: .*lower optimizer\.lr"):
        see(watch, trainer, network, float("nan"))


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_weight_that_is_no_number_ends_the_run_at_once(trainer: L.Trainer, value: float) -> None:
    network = Network()
    nn.init.constant_(network.layer.bias, value)
    with pytest.raises(TrainingError, match="diverged in epoch 0"):
        see(EndsWhenDiverged(), trainer, network, float("nan"))


def test_weights_are_looked_at_before_an_epoch_is_judged(trainer: L.Trainer) -> None:
    network = Network()
    nn.init.constant_(network.layer.bias, float("nan"))
    trainer.fit_loop.epoch_loop.batch_progress.is_last_batch = True
    with pytest.raises(TrainingError, match="diverged in epoch 0"):
        see(EndsWhenDiverged(), trainer, network, 1.0)
