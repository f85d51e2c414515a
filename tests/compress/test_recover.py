"""Pruned networks learn back, in training's own loop."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from quick import QUICK
from typer.testing import CliRunner

from birdedge.compress.photos import batches
from birdedge.compress.prune import Pruning
from birdedge.compress.recover import recover as run
from birdedge.compress.shrink import prune_checkpoint
from birdedge.compress.shrink_commands import prune, recover
from birdedge.runtime.errors import CheckpointError
from birdedge.train.checkpoint import load_checkpoint, save_checkpoint
from birdedge.train.layouts import read_dataset
from birdedge.train.model import network_of


@pytest.fixture(scope="module")
def pruned(trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pruned") / "pruned.safetensors"
    prune_checkpoint(trained.path, out, Pruning(0.7))
    return out


def answers(checkpoint: Path, pictures: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = network_of(*load_checkpoint(checkpoint))(pictures)
    return logits.softmax(dim=1)


def test_recovery_brings_a_pruned_network_nearer_to_its_parent(
    trained, pruned: Path, tmp_path: Path
) -> None:
    settings = [*QUICK, "trainer.epochs=30", "optimizer.lr=0.003", "trainer.ema_decay=0.5"]
    done = run(pruned, trained.path, tmp_path / "run", settings)

    photos = read_dataset(trained.photos).test
    preprocess = trained.info.preprocess
    pictures = np.concatenate([*batches(photos, preprocess, box_margin=0)])
    pictures = torch.from_numpy(preprocess.normalise(pictures)).permute(0, 3, 1, 2)
    parent = answers(trained.path, pictures)
    before = (answers(pruned, pictures) - parent).abs().mean()
    after = (answers(done.checkpoint, pictures) - parent).abs().mean()
    assert after < 0.75 * before
    info, _ = load_checkpoint(done.checkpoint)
    assert info.pruning == load_checkpoint(pruned)[0].pruning
    assert info.provenance.config["distill"]["teachers"] == [str(trained.path)]


def test_a_teacher_may_be_of_another_architecture(trained, pruned: Path, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.safetensors"
    other = trained.info.model_copy(update={"architecture": "test_resnet", "model_args": {}})
    network = timm.create_model("test_resnet", num_classes=len(trained.info.labels))
    model = {"name": "test_resnet", "pretrained": False, "init_from": None, "args": {}}
    config = trained.info.provenance.config | {"model": model}
    provenance = trained.info.provenance.model_copy(update={"config": config})
    save_checkpoint(teacher, network, other.model_copy(update={"provenance": provenance}))
    done = run(pruned, teacher, tmp_path / "run", QUICK)

    info, weights = load_checkpoint(done.checkpoint)
    assert info.architecture == trained.info.architecture
    assert info.model_args == trained.info.model_args
    assert weights.keys() == load_checkpoint(pruned)[1].keys()


def test_an_interrupted_recovery_goes_on_to_the_same_weights(
    trained, pruned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*QUICK, "trainer.epochs=2"]
    whole = run(pruned, trained.path, tmp_path / "whole", settings)
    steps = 0

    def stop_in_the_second_epoch(*arguments: object) -> None:
        nonlocal steps
        steps += 1
        if steps == 4:  # of two an epoch
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            "birdedge.train.module.BirdModule.on_train_batch_start", stop_in_the_second_epoch
        )
        with pytest.raises(KeyboardInterrupt):
            run(pruned, trained.path, tmp_path / "half", settings)
    assert (tmp_path / "half" / "last.ckpt").is_file()
    resumed = run(pruned, trained.path, tmp_path / "half", settings)

    _, expected = load_checkpoint(whole.checkpoint)
    _, weights = load_checkpoint(resumed.checkpoint)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_recovery_computes_in_what_suits_this_machine_not_the_parents(
    trained, pruned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, _ = load_checkpoint(trained.path)
    config = {**info.provenance.config, "trainer": {"precision": "bf16-mixed"}}
    provenance = info.provenance.model_copy(update={"config": config})
    parent = tmp_path / "parent.safetensors"
    save_checkpoint(parent, trained.network, info.model_copy(update={"provenance": provenance}))

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    settings = [setting for setting in QUICK if "precision" not in setting]
    done = run(pruned, parent, tmp_path / "run", settings)

    info, _ = load_checkpoint(done.checkpoint)
    assert info.provenance.config["trainer"]["precision"] == "32-true"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("trainer.epoch=5", "Key 'epoch' is not in struct"),
        ("trainer.epochs", "'trainer.epochs' is no setting"),
        ("trainer=5", "'trainer=5' is no setting"),
        ("trainer.epochs=[", "'trainer.epochs=[' cannot be read"),
        ("trainer.epochs=many", "trainer.epochs: Input should be a valid integer"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    trained, pruned: Path, tmp_path: Path, setting: str, message: str
) -> None:
    arguments = [str(pruned), setting, "--parent", str(trained.path), "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(recover, arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_parent_of_other_classes_is_refused(trained, pruned: Path, tmp_path: Path) -> None:
    info, _ = load_checkpoint(trained.path)
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, trained.network, info.model_copy(update={"labels": info.labels[::-1]}))
    with pytest.raises(CheckpointError, match=r"cannot teach .*: they know other classes"):
        run(pruned, other, tmp_path / "run", QUICK)


def test_commands_print_the_path_alone_and_figures_beside(trained, tmp_path: Path) -> None:
    out = tmp_path / "pruned.safetensors"
    result = CliRunner().invoke(prune, [str(trained.path), "-o", str(out), "--macs", "0.6"])

    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{out}\n"
    assert "as trained" in result.stderr and "pruned" in result.stderr

    run_folder = tmp_path / "run"
    arguments = [str(out), "--parent", str(trained.path), "-o", str(run_folder), *QUICK]
    result = CliRunner().invoke(recover, arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{run_folder / 'checkpoint.safetensors'}\n"
    assert all(name in result.stderr for name in ("parent", "pruned", "recovered", "MMAC"))


def test_commands_give_their_figures_to_programs(trained, tmp_path: Path) -> None:
    out = tmp_path / "pruned.safetensors"
    result = CliRunner().invoke(
        prune, [str(trained.path), "-o", str(out), "--macs", "0.6", "--json"]
    )
    report = json.loads(result.stdout)
    assert report["checkpoint"] == str(out)
    whole, smaller = report["stages"].values()
    assert smaller["macs"] <= 0.6 * whole["macs"]
    assert smaller["parameters"] < whole["parameters"]

    arguments = [str(out), "--parent", str(trained.path), "-o", str(tmp_path / "run"), "--json"]
    result = CliRunner().invoke(recover, [*arguments, *QUICK])
    stages = json.loads(result.stdout)["stages"]
    assert list(stages) == ["parent", "pruned", "recovered"]
    assert stages["recovered"]["macs"] == stages["pruned"]["macs"]


def test_ctrl_c_says_how_to_go_on_where_there_is_something_to_go_on_from(
    trained, pruned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    arguments = [str(pruned), "--parent", str(trained.path), "-o", str(out), *QUICK]
    monkeypatch.setattr("birdedge.train.train._trainer", interrupt)
    result = CliRunner().invoke(recover, arguments)
    assert result.exit_code == 130
    assert "goes on from here" not in result.stderr

    monkeypatch.undo()
    run(pruned, trained.path, out, QUICK)
    monkeypatch.setattr("birdedge.train.train._measure_best", interrupt)
    result = CliRunner().invoke(recover, arguments)
    assert result.exit_code == 130
    assert "stopped; the same command goes on from here" in result.stderr


def test_a_folder_with_another_run_is_not_resumed(trained, pruned: Path, tmp_path: Path) -> None:
    run(pruned, trained.path, tmp_path / "run", QUICK)
    with pytest.raises(CheckpointError, match="holds another run; choose another --out"):
        run(pruned, trained.path, tmp_path / "run", [*QUICK, "optimizer.lr=0.001"])


def test_a_checkpoint_is_not_pruned_over_itself(pruned: Path) -> None:
    before = pruned.read_bytes()
    with pytest.raises(CheckpointError, match="is the checkpoint to prune"):
        prune_checkpoint(pruned, pruned, Pruning(0.9))
    assert pruned.read_bytes() == before


def test_a_recovery_goes_on_where_its_files_have_moved(
    trained, pruned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(pruned, trained.path, tmp_path / "run", QUICK)
    for file in (pruned, trained.path):
        shutil.copyfile(file, tmp_path / file.name)
    shutil.copytree(trained.photos, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)

    again = run(Path(pruned.name), Path(trained.path.name), Path("run"), QUICK, Path("photos"))
    assert again.metrics == first.metrics
