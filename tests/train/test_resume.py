"""Runs that were cut off: they go on to the same end, or say why they cannot."""

import csv
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from disks import little_space
from omegaconf import DictConfig
from torch import Tensor

from birdedge.runtime.errors import CheckpointError
from birdedge.train.checkpoint import load_checkpoint
from birdedge.train.module import BirdModule
from birdedge.train.resume import WholeFiles
from birdedge.train.train import run

Configure = Callable[..., DictConfig]

STEPS_PER_EPOCH = 3  # 27 training photos in batches of 8


@pytest.fixture(autouse=True)
def _ctrl_c_still_works_afterwards() -> Iterator[None]:
    # Lightning ignores further interrupts once it has seen one.
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], None]:
    """Make the step of this number (from 0) end with an error, once."""

    def at(step: int, error: BaseException) -> None:
        whole = BirdModule.training_step

        def cut(self: BirdModule, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
            if self.global_step == step:
                monkeypatch.setattr(BirdModule, "training_step", whole)
                raise error
            return whole(self, batch, batch_index)

        monkeypatch.setattr(BirdModule, "training_step", cut)

    return at


def all_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of the best epoch, and of the last one: trained and averaged."""
    _, weights = load_checkpoint(folder / "checkpoint.safetensors")
    last = torch.load(folder / "last.ckpt", weights_only=False)
    for part in ("state_dict", "current_model_state"):
        weights |= {f"{part}/{name}": value for name, value in last.get(part, {}).items()}
    return weights


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


def noted(folder: Path) -> list[dict[str, float]]:
    """What a run's record says of its epochs, one after the other."""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = [{name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)]  # fmt: skip
    return [row for row in rows if "val/top1" in row]


@pytest.mark.parametrize(
    ("step", "accumulate", "workers"),
    [
        (STEPS_PER_EPOCH, 1, 0),
        (STEPS_PER_EPOCH + 1, 1, 0),
        (STEPS_PER_EPOCH + 1, 1, 2),
        (2 * STEPS_PER_EPOCH, 1, 0),
        (2, 2, 0),  # two steps an epoch
        (3, 2, 2),
    ],
)
def test_a_run_that_was_killed_and_resumed_ends_with_the_same_weights(
    tree: Path,
    tmp_path: Path,
    configured: Configure,
    cut_off,
    step: int,
    accumulate: int,
    workers: int,
) -> None:
    whole, first, second = tmp_path / "whole", tmp_path / "first", tmp_path / "second"
    mixing = ("augment.mixup=0.4", f"trainer.accumulate={accumulate}")
    run(configured(tree, *mixing), whole)
    mixing = (*mixing, f"data.workers={workers}")

    cut_off(step, RuntimeError("power cut"))
    with pytest.raises(RuntimeError, match="power cut"):
        run(configured(tree, *mixing), first)
    resumed = run(configured(tree, *mixing, f"resume={first}"), second)

    assert differing(all_weights(whole), all_weights(second)) == []
    assert load_checkpoint(whole / "checkpoint.safetensors")[0].metrics == resumed.metrics
    assert noted(second) == noted(whole)


@pytest.mark.parametrize("settings", [(), ("quantization_aware=true",)])
def test_a_run_resumed_where_it_lies_ends_with_the_same_weights(
    tree: Path, tmp_path: Path, configured: Configure, cut_off, settings: tuple[str, ...]
) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    run(configured(tree, *settings), whole)

    cut_off(STEPS_PER_EPOCH, RuntimeError("power cut"))
    with pytest.raises(RuntimeError, match="power cut"):
        run(configured(tree, *settings), folder)
    run(configured(tree, *settings, f"resume={folder}"), folder)

    assert differing(all_weights(whole), all_weights(folder)) == []
    assert noted(folder) == noted(whole)


def test_a_run_that_was_cut_off_while_it_wrote_goes_on_from_what_it_had_written_before(
    tree: Path, tmp_path: Path, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    run(configured(tree, "trainer.epochs=2"), whole)
    write, written = Path.write_bytes, []

    def cut_short(self: Path, state: bytes) -> None:
        written.append(self)
        if len(written) == 4:  # the best epoch and the last one, twice
            write(self, bytes(state[:1000]))
            raise RuntimeError("power cut")
        write(self, state)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="power cut"):
        patch.setattr(Path, "write_bytes", cut_short)
        run(configured(tree, "trainer.epochs=2"), folder)
    assert {file.parent for file in written} == {folder}
    assert torch.load(folder / "last.ckpt", weights_only=False)["epoch"] == 0
    run(configured(tree, "trainer.epochs=2", f"resume={folder}"), folder)

    assert differing(all_weights(whole), all_weights(folder)) == []


def test_a_full_disk_is_named_and_leaves_the_last_state_as_it_was(tmp_path: Path) -> None:
    last = tmp_path / "last.ckpt"
    WholeFiles().save_checkpoint({"epoch": 0}, last)

    with little_space(), pytest.raises(OSError, match="too large"):
        WholeFiles().save_checkpoint({"weights": torch.zeros(100_000)}, last)

    assert torch.load(last, weights_only=True) == {"epoch": 0}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_ctrl_c_ends_a_run_as_an_interruption_that_can_be_resumed(
    tree: Path, tmp_path: Path, configured: Configure, cut_off
) -> None:
    cut_off(STEPS_PER_EPOCH + 1, KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        run(configured(tree), tmp_path / "run")

    assert (tmp_path / "run" / "last.ckpt").is_file()
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_ctrl_c_while_the_best_weights_are_measured_is_an_interruption_too(
    tree: Path, tmp_path: Path, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(BirdModule, "test_step", interrupted)
        run(configured(tree, "trainer.epochs=1"), tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()

    resume = f"resume={tmp_path / 'run'}"
    resumed = run(configured(tree, "trainer.epochs=1", resume), tmp_path / "run")
    assert "test/top1" in resumed.metrics


def test_a_best_epoch_before_the_interruption_stays_the_best(
    tree: Path, tmp_path: Path, configured: Configure, cut_off, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = tmp_path / "first", tmp_path / "second", tmp_path / "third"

    def worse_every_epoch(self: BirdModule, batch: tuple[Tensor, Tensor], _: int) -> None:
        self.log("val/loss", float(self.current_epoch), batch_size=len(batch[0]))

    monkeypatch.setattr(BirdModule, "validation_step", worse_every_epoch)
    judged = ("trainer.monitor=val/loss", "trainer.epochs=4")
    cut_off(STEPS_PER_EPOCH, RuntimeError("power cut"))
    with pytest.raises(RuntimeError):
        run(configured(tree, *judged), first)
    best = torch.load(first / "best.ckpt", weights_only=False)["state_dict"]

    cut_off(3 * STEPS_PER_EPOCH, RuntimeError("power cut"))
    with pytest.raises(RuntimeError):
        run(configured(tree, *judged, f"resume={first}"), second)
    (first / "best.ckpt").unlink()
    run(configured(tree, *judged, f"resume={second}"), third)

    _, kept = load_checkpoint(third / "checkpoint.safetensors")
    assert torch.equal(kept["conv1.0.weight"], best["network.conv1.0.weight"])


def test_resuming_from_nothing_is_refused(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    with pytest.raises(CheckpointError, match=r"nothing to resume at .*last\.ckpt"):
        run(configured(tree, f"resume={tmp_path}"), tmp_path / "run")


def test_what_is_no_whole_checkpoint_of_a_run_is_not_resumed(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    run(configured(tree, "trainer.epochs=1"), tmp_path / "run")
    whole = (tmp_path / "run" / "last.ckpt").read_bytes()
    for name, content in {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"birds"}.items():
        (tmp_path / f"{name}.ckpt").write_bytes(content)
    torch.save([1], tmp_path / "strange.ckpt")

    others = [tmp_path / f"{name}.ckpt" for name in ("cut", "empty", "text", "strange")]
    for file in [*others, tmp_path / "run" / "checkpoint.safetensors"]:
        told = f"{re.escape(str(file))} is damaged, or no .ckpt file of a run; resume=FOLDER"
        with pytest.raises(CheckpointError, match=told):
            run(configured(tree, "trainer.epochs=1", f"resume={file}"), tmp_path / "on")


def test_a_run_is_not_resumed_with_other_settings(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    run(configured(tree, "trainer.epochs=1"), tmp_path / "run")
    resume = f"resume={tmp_path / 'run'}"

    for setting, told in {
        "trainer.epochs=2": r"trainer\.epochs is 2 and was 1 in .* model\.init_from=CHECKPOINT",
        "+model.args.drop_rate=0.1": r"model\.args is \{'drop_rate': 0\.1\} and was \{\} in",
        "seed=1": "seed is 1 and was 0 in",
        # Before its weights are found not to fit.
        "model.name=test_vit": r"model\.name is test_vit and was test_resnet in",
    }.items():
        with pytest.raises(CheckpointError, match=told):
            run(configured(tree, "trainer.epochs=1", setting, resume), tmp_path / "other")


def test_a_run_is_resumed_on_another_machine(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    run(configured(tree, "trainer.epochs=1"), tmp_path / "run")
    moved = tree.rename(tmp_path / "moved")
    here = (
        "data.workers=1",
        "trainer.accelerator=auto",
        "trainer.precision=auto",
        "wandb.project=a",
    )
    resumed = run(
        configured(moved, "trainer.epochs=1", *here, f"resume={tmp_path / 'run'}"), tmp_path / "on"
    )

    assert "test/top1" in resumed.metrics


def test_a_run_is_not_resumed_with_other_photos(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    run(configured(tree, "trainer.epochs=1"), tmp_path / "run")
    other = tmp_path / "other"
    shutil.copytree(tree, other)
    photo = other / "train" / "Blue_Disc" / "00.jpg"
    photo.rename(photo.with_name("another.jpg"))
    fewer = tmp_path / "fewer"
    shutil.copytree(tree, fewer)
    for part in ("train", "test"):
        shutil.rmtree(fewer / part / "Red_Diamond")

    resume = f"resume={tmp_path / 'run'}"
    for root in (other, fewer):
        with pytest.raises(CheckpointError, match=f"data.root={root} holds other training photos"):
            run(configured(root, "trainer.epochs=1", resume), tmp_path / "on")


def test_a_run_from_before_photos_were_noted_is_resumed(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    run(configured(tree, "trainer.epochs=1"), tmp_path / "run")
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)
    del last["callbacks"]["SameSettings"]["digest of the training photos"]
    torch.save(last, tmp_path / "run" / "last.ckpt")
    (tree / "train" / "Blue_Disc" / "00.jpg").unlink()

    resume = f"resume={tmp_path / 'run'}"
    assert "test/top1" in run(configured(tree, "trainer.epochs=1", resume), tmp_path / "on").metrics


def test_a_run_from_before_averages_warmed_up_goes_on_without(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    run(configured(tree, "trainer.epochs=1", "trainer.ema_warmup=false"), tmp_path / "run")
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)
    del last["callbacks"]["SameSettings"]["trainer.ema_warmup"]
    torch.save(last, tmp_path / "run" / "last.ckpt")

    resume = f"resume={tmp_path / 'run'}"
    with pytest.raises(CheckpointError, match=r"trainer\.ema_warmup is True and was False"):
        run(configured(tree, "trainer.epochs=1", resume), tmp_path / "on")
    run(configured(tree, "trainer.epochs=1", "trainer.ema_warmup=false", resume), tmp_path / "on")


def test_a_run_from_before_settings_were_kept_is_resumed(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    run(configured(tree, "trainer.epochs=1"), tmp_path / "run")
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)
    del last["callbacks"]["SameSettings"]
    torch.save(last, tmp_path / "run" / "last.ckpt")

    resume = f"resume={tmp_path / 'run'}"
    run(configured(tree, "trainer.epochs=2", resume), tmp_path / "on")

    assert len(noted(tmp_path / "on")) == 2


@pytest.mark.parametrize(
    ("setting", "told"),
    [("distill.teachers=[{}]", "distill.teachers"), ("model.init_from={}", "model.init_from")],
)
def test_weights_that_a_run_needs_may_lie_elsewhere_but_have_to_be_the_same(
    tree: Path, tmp_path: Path, configured: Configure, setting: str, told: str
) -> None:
    files = [tmp_path / name / "checkpoint.safetensors" for name in ("one", "other")]
    for seed, file in enumerate(files):
        run(configured(tree, "trainer.epochs=1", f"seed={seed}"), file.parent)

    def with_weights(file: Path, *settings: str) -> DictConfig:
        return configured(tree, "trainer.epochs=1", setting.format(file), *settings)

    run(with_weights(files[0]), tmp_path / "run")
    moved = files[0].rename(tmp_path / "moved.safetensors")
    resume = f"resume={tmp_path / 'run'}"
    assert "test/top1" in run(with_weights(moved, resume), tmp_path / "on").metrics
    with pytest.raises(CheckpointError, match=f"SHA-256 of {re.escape(told)} is "):
        run(with_weights(files[1], resume), tmp_path / "else")
