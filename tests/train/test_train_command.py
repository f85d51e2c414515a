"""`birdedge train` at a terminal: it says what is wrong in one line."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from birdedge.train.checkpoint import load_checkpoint
from birdedge.train.model import network_of

Birdedge = Callable[..., tuple[int, str, str]]
Settings = Callable[[Path], tuple[str, ...]]


def test_help_shows_the_settings(birdedge: Birdedge) -> None:
    code, out, _ = birdedge("train", "--help")

    assert code == 0
    assert "data: cub100, cub200, folder" in out
    assert "model: mobilenetv2_100, resnet50" in out


def test_cfg_job_prints_the_configuration(birdedge: Birdedge) -> None:
    code, out, _ = birdedge("train", "data=cub200", "trainer.epochs=7", "--cfg", "job")

    assert code == 0
    assert "root: data/CUB_200_2011" in out
    assert "epochs: 7" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["data=cub100", "data.root=nowhere"], 1, "no data at nowhere"),
        (["data=cub100", "resume=nowhere", "data.root={tree}"], 1, "nothing to resume at nowhere"),
        (["data.root={tree}", "model.name=vit_tiny_patch16_224"], 1, "set preprocess.input_size"),
        (["data.root={tree}", "model.init_labels=labels.txt"], 2, "what init_from tells apart"),
        (["data.root={tree}", "seed=abc"], 2, "birdedge: seed: Input should be"),
        (["data.root={tree}", "seed=-1"], 2, "seed: Input should be"),
        (["data.root={tree}", "model.name=null"], 2, "model.name: Input should be"),
        (["data.root={tree}", "model.args=foo"], 2, "model.args: Input should be"),
        (["data.root={tree}", "+model.args.in_chans=1"], 2, "three channels"),
        (["data.root={tree}", "+preprocess.color_order=BGR"], 2, "trained on color_order=RGB"),
        (["data.root={tree}", "quantization_aware=foo"], 2, "quantization_aware: Input should be"),
        (["data.root={tree}", "wandb.mode=foo"], 2, "wandb.mode: Input should be"),
        (["data=folder"], 2, "data.root"),
        (["trainer.epoch=5"], 2, "birdedge: there is no setting trainer.epoch; did you mean "),
        (["trainer.epoch=5"], 2, "did you mean trainer.epochs?"),
        (["+trainer.epoch=5", "data.root={tree}"], 2, "permitted; did you mean trainer.epochs?"),
        (["lr=0.1"], 2, "there is no setting lr; did you mean optimizer.lr?"),
        (["preprocess.crop_fraction=0.9"], 2, "use +preprocess.crop_fraction=0.9"),
        (["model.args.drop_rate=0.1"], 2, "use +model.args.drop_rate=0.1"),
        (["experiment=resnet50"], 2, "use +experiment=resnet50"),
        (["data=cub1000"], 2, "Could not find 'data/cub1000'"),
        (["trainer.epochs"], 2, "trainer.epochs"),
        (["data.root={tree}", "augment.flip=often"], 2, "augment.flip: Input should be"),
        (["data.root={tree}", "augment.min_scale=2"], 2, "augment.min_scale: Input should be less"),
        (["data.root={tree}", "augment.mixup=-1"], 2, "augment.mixup: Input should be greater"),
        (["data.root={tree}", "optimizer.lr=nan"], 2, "optimizer.lr: Input should be a finite"),
        (["data.root={tree}", "optimizer.lr=-1"], 2, "optimizer.lr: Input should be greater"),
        (["data.root={tree}", "optimizer.label_smoothing=2"], 2, "label_smoothing: Input should"),
        (["data.root={tree}", "probe.weight_decay=inf"], 2, "probe.weight_decay: Input should be"),
        (["data.root={tree}", "distill.temperature=inf"], 2, "distill.temperature: Input should"),
        (["data.root={tree}", "trainer.precision=3-bit"], 2, "trainer.precision: Input should be"),
        (
            ["data.root={tree}", "trainer.precision=16-true"],
            2,
            "trainer.precision: Input should be",
        ),
        (["data.root={tree}", "trainer.epochs=many"], 2, "trainer.epochs: Input should be"),
        (["data.root={tree}", "optimizer.name=adamwow"], 2, "adamwow"),
        (["data.root={tree}", "data.batch_size=0"], 2, "data.batch_size: Input should be greater"),
        (["data.root={tree}", "data.workers=-1"], 2, "data.workers: Input should be greater"),
        (["data.root={tree}", "data.val_fraction=1"], 2, "data.val_fraction: Input should be less"),
        (["data.root={tree}", "+data.val_frac=0.3"], 2, "data.val_frac: Extra inputs are not"),
        (["data.root={tree}", "trainer.ema_decay=1.5"], 2, "trainer.ema_decay: Input should be"),
        (["data.root={tree}", "trainer.monitor=val/acc"], 2, "trainer.monitor: Input should be"),
        (["data.root={tree}", "trainer.devices=2"], 2, "runs on one device, with devices=1"),
        (["data.root={tree}", "trainer.devices=auto"], 2, "runs on one device, with devices=1"),
        (["data.root={tree}", "trainer.strategy=ddp"], 2, "on one device, with strategy=auto"),
        (["data.root={tree}", "wandb.mode=online"], 1, "wandb: "),
    ],
)
def test_what_goes_wrong_is_one_line(
    birdedge: Birdedge,
    tree: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # with no key in a .netrc
    arguments = [argument.format(tree=tree) for argument in arguments]
    small = [setting for setting in settings(tree) if not setting.startswith("data")]

    found, out, err = birdedge("train", *small, *arguments)

    assert found == code
    assert out == ""
    complaints = [line for line in err.splitlines() if line.startswith("birdedge: ")]
    assert len(complaints) == 1
    assert message in complaints[0]
    assert "Traceback" not in err


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_photo_is_named_in_one_line(
    birdedge: Birdedge, tree: Path, settings: Settings, workers: int
) -> None:
    for photo in (tree / "train" / "Blue_Disc").iterdir():
        photo.write_bytes(b"")

    code, _, err = birdedge("train", *settings(tree), f"data.workers={workers}")

    assert code == 1
    (complaint,) = [line for line in err.splitlines() if line.startswith("birdedge: ")]
    assert complaint.startswith(f"birdedge: {tree / 'train' / 'Blue_Disc'}")
    assert complaint.endswith("empty file")
    assert "Traceback" not in err


def test_a_single_species_is_refused_in_one_line(
    birdedge: Birdedge, tree: Path, settings: Settings
) -> None:
    for part, species in itertools.product(("train", "test"), ("Blue_Disc", "Red_Diamond")):
        shutil.rmtree(tree / part / species)

    code, out, err = birdedge("train", *settings(tree))

    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"birdedge: {tree} has one species alone; a network learns to tell two apart"
    ]


@pytest.mark.parametrize("more", [[], ["quantization_aware=true", "data.workers=1"]])
def test_a_damaged_test_photo_costs_figures_but_not_what_was_learned(
    birdedge: Birdedge, tree: Path, settings: Settings, more: list[str]
) -> None:
    photo = tree / "test" / "Blue_Disc" / "00.jpg"
    whole = photo.read_bytes()
    photo.write_bytes(b"")
    command = ["train", *settings(tree), *more, "trainer.epochs=1", "hydra.run.dir=run"]

    code, out, err = birdedge(*command)

    assert (code, out) == (1, "")
    (complaint,) = [line for line in err.splitlines() if line.startswith("birdedge: ")]
    assert complaint == f"birdedge: {photo}: empty file"
    assert "checkpoint.safetensors is whole, but without figures; resume=" in err
    info, weights = load_checkpoint(Path("run/checkpoint.safetensors"))
    network_of(info, weights)
    assert info.metrics == {}

    photo.write_bytes(whole)
    code, out, err = birdedge(*command, "resume=run")
    assert code == 0, err
    again, same = load_checkpoint(Path("run/checkpoint.safetensors"))
    assert "test/top1" in again.metrics
    assert all(torch.equal(same[name], weights[name]) for name in weights)


def test_what_has_no_epoch_to_resume_is_not_said_to_be_resumed(
    birdedge: Birdedge, tree: Path, settings: Settings
) -> None:
    (tree / "test" / "Blue_Disc" / "00.jpg").write_bytes(b"")

    code, _, err = birdedge("train", *settings(tree), "trainer.epochs=0", "hydra.run.dir=run")

    assert code == 1
    assert "checkpoint.safetensors is whole, but without figures\n" in err


@pytest.mark.parametrize("epochs", [1, 3])
def test_training_that_diverges_says_so_and_leaves_no_checkpoint(
    birdedge: Birdedge, tree: Path, settings: Settings, epochs: int
) -> None:
    setting = [f"trainer.epochs={epochs}", "optimizer.lr=1e30", "hydra.run.dir=run"]
    code, out, err = birdedge("train", *settings(tree), *setting)

    assert code == 1
    assert out == ""
    (complaint,) = [line for line in err.splitlines() if line.startswith("birdedge: ")]
    assert "training diverged in epoch 0" in complaint
    assert "lower optimizer.lr" in complaint
    assert "Traceback" not in err
    assert not list(Path("run").glob("*.safetensors"))


def test_the_official_layout_trains_end_to_end(
    birdedge: Birdedge, cub: Path, settings: Settings
) -> None:
    small = [setting for setting in settings(cub) if not setting.startswith("data=")]

    code, out, err = birdedge(
        "train", "data=cub200", *small, "trainer.epochs=1", "hydra.run.dir=run"
    )

    assert code == 0, err
    assert out == "run/checkpoint.safetensors\n"
    assert Path("run/checkpoint.safetensors").is_file()
    assert "test/top1" in err


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_going_on_works(
    tree: Path, settings: Settings, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "birdedge", "train", *settings(tree)]
    first = ["trainer.epochs=2000", "trainer.patience=0", "hydra.run.dir=first"]
    with (tmp_path / "err.txt").open("w") as err:
        process = subprocess.Popen(
            [*command, *first],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=err,
            # Where these tests are a shell's background job, Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "first" / "last.ckpt").is_file():
                assert process.poll() is None, (tmp_path / "err.txt").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(timeout=60) != 0
        finally:
            process.kill()
    said = (tmp_path / "err.txt").read_text()
    assert "stopped; go on with the same command and resume=first" in said
    assert "Traceback" not in said
