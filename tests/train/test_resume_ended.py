"""Runs that were at their end already when they are resumed: they keep what they had come to."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from birdedge.train.checkpoint import load_checkpoint
from birdedge.train.data import Batch
from birdedge.train.module import BirdModule
from birdedge.train.train import run

Configure = Callable[..., DictConfig]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("settings", [(), ("data.val_fraction=0",)])
def test_a_run_that_was_killed_at_its_very_end_keeps_the_same_weights(
    tree: Path,
    tmp_path: Path,
    configured: Configure,
    capsys: pytest.CaptureFixture[str],
    settings: tuple[str, ...],
) -> None:
    run(configured(tree, *settings), tmp_path / "whole")
    _, kept = load_checkpoint(tmp_path / "whole" / "checkpoint.safetensors")

    resume = f"resume={tmp_path / 'whole'}"
    resumed = run(configured(tree, *settings, resume), tmp_path / "on").checkpoint

    assert same(kept, load_checkpoint(resumed)[1])
    assert "warning" not in capsys.readouterr().err


def test_a_missing_best_epoch_is_named_and_the_last_one_kept(
    tree: Path, tmp_path: Path, configured: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    run(configured(tree, "trainer.epochs=2"), tmp_path / "run")
    best = tmp_path / "run" / "best.ckpt"
    best.unlink()

    resume = f"resume={tmp_path / 'run'}"
    resumed = run(configured(tree, "trainer.epochs=2", resume), tmp_path / "on").checkpoint

    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert line.startswith(f"warning: {best}, the best epoch so far, is missing; ")
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)["state_dict"]
    _, kept = load_checkpoint(resumed)
    assert same(kept, {name: last[f"network.{name}"] for name in kept})


def test_a_run_that_stopped_early_is_not_trained_further(
    tree: Path, tmp_path: Path, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def best_in_epochs_1_and_5(self: BirdModule, batch: Batch, _: int) -> None:
        self.log("val/loss", (3.0, 1.0, 2.0, 2.0, 2.0, 0.0)[self.current_epoch])

    settings = ("trainer.monitor=val/loss", "trainer.patience=2", "trainer.epochs=6")
    with monkeypatch.context() as patch:
        patch.setattr(BirdModule, "validation_step", best_in_epochs_1_and_5)
        run(configured(tree, *settings), tmp_path / "whole")
        _, kept = load_checkpoint(tmp_path / "whole" / "checkpoint.safetensors")
        assert torch.load(tmp_path / "whole" / "last.ckpt", weights_only=True)["epoch"] == 3

        resume = f"resume={tmp_path / 'whole'}"
        resumed = run(configured(tree, *settings, resume), tmp_path / "on").checkpoint

    assert same(kept, load_checkpoint(resumed)[1])
    assert not (tmp_path / "on" / "last.ckpt").exists()


def test_a_run_resumed_where_it_lies_keeps_its_record_with_no_epoch_left_to_train(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    run(configured(tree, "trainer.epochs=2"), tmp_path / "run")
    record = tmp_path / "run" / "metrics.csv"
    before = record.read_text(encoding="utf-8")

    run(configured(tree, "trainer.epochs=2", f"resume={tmp_path / 'run'}"), tmp_path / "run")

    assert record.read_text(encoding="utf-8") == before


def test_the_record_of_a_run_that_goes_on_is_there_again_before_its_first_step(
    tree: Path, tmp_path: Path, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, whole = tmp_path / "run" / "metrics.csv", BirdModule.training_step
    found = []

    def cut(self: BirdModule, batch: Batch, batch_index: int) -> torch.Tensor:
        if self.current_epoch == 1:
            found.append(record.is_file() and "val/top1" in record.read_text(encoding="utf-8"))
            raise RuntimeError("power cut")
        return whole(self, batch, batch_index)

    monkeypatch.setattr(BirdModule, "training_step", cut)
    for settings in ((), (f"resume={record.parent}",)):
        with pytest.raises(RuntimeError, match="power cut"):
            run(configured(tree, *settings), record.parent)

    assert found == [True, True]
