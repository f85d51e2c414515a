"""Whole runs on drawn shapes: they learn, and leave a checkpoint that says how."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import lightning as L
import pytest
import torch
import wandb
from omegaconf import DictConfig

from birdedge.compress.photos import Photos
from birdedge.runtime.errors import CheckpointError, TrainingError
from birdedge.train.augment import Augment
from birdedge.train.checkpoint import load_checkpoint
from birdedge.train.data import BirdData
from birdedge.train.layouts import read_dataset, split_by_class
from birdedge.train.model import network_of
from birdedge.train.module import BirdModule, Optimizer
from birdedge.train.precision import Precision
from birdedge.train.train import run

Configure = Callable[..., DictConfig]


def test_a_short_run_learns_the_shapes_and_leaves_a_checkpoint(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    trained = run(configured(tree, "trainer.epochs=6"), tmp_path / "run")

    info, weights = load_checkpoint(trained.checkpoint)
    assert trained.checkpoint == tmp_path / "run" / "checkpoint.safetensors"
    assert [label.dataset_class for label in info.labels] == [
        "Blue_Disc",
        "Green_Square",
        "Red_Diamond",
    ]
    assert info.architecture == "test_resnet"
    assert info.metrics == trained.metrics
    assert info.metrics["test/top1"] >= 0.75  # chance is a third
    assert {"val/top1", "val/top5", "val/macro_recall", "val/ece", "test/loss"} <= set(info.metrics)
    assert info.provenance.config["trainer"]["epochs"] == 6
    assert len(info.provenance.data_digest) == 64
    assert weights["fc.weight"].shape[0] == 3
    assert (tmp_path / "run" / "metrics.csv").is_file()


@pytest.mark.parametrize("precision", sorted(set(get_args(Precision)) - {"32-true"}))
def test_a_network_learns_in_every_precision(
    tree: Path, tmp_path: Path, configured: Configure, precision: str
) -> None:
    settings = (f"trainer.precision={precision}", "trainer.epochs=6", "augment.mixup=0.2")
    trained = run(configured(tree, *settings), tmp_path / "run")

    assert trained.metrics["test/top1"] >= 0.75  # chance is a third


def test_a_quantization_aware_run_leaves_a_plain_network_and_tells_its_figures(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    settings = ("quantization_aware=true", "trainer.epochs=6")
    trained = run(configured(tree, *settings), tmp_path / "run")

    info, weights = load_checkpoint(trained.checkpoint)
    assert info.metrics["test/top1"] >= 0.75  # chance is a third
    module = BirdModule(network_of(info, weights), 3, info.preprocess, Augment(), Optimizer())
    judge = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False,
    )  # fmt: skip
    data = BirdData(read_dataset(tree), info.preprocess, Augment(), batch_size=8, workers=0)
    found = judge.test(module, data, verbose=False)[0]
    assert info.metrics["test/loss"] == pytest.approx(found["test/loss"], abs=1e-5)


def test_pictures_are_normalised_as_for_the_checkpoint_that_training_begins_with(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    start = run(
        configured(tree, "trainer.epochs=0", "preprocess.mean=[0.1,0.2,0.3]"), tmp_path / "a"
    )
    init_from = f"model.init_from={start.checkpoint}"
    begun = run(configured(tree, "trainer.epochs=0", init_from), tmp_path / "b")
    fresh = run(configured(tree, "trainer.epochs=0"), tmp_path / "c")

    means = [load_checkpoint(one.checkpoint)[0].preprocess.mean for one in (start, begun, fresh)]
    assert means == [(0.1, 0.2, 0.3), (0.1, 0.2, 0.3), (0.5, 0.5, 0.5)]


def test_who_may_have_learned_the_validation_photos_is_named(
    tree: Path, tmp_path: Path, configured: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = run(configured(tree, "trainer.epochs=0"), tmp_path / "teacher").checkpoint
    begin = ("trainer.epochs=0", f"distill.teachers=[{teacher}]", f"model.init_from={teacher}")

    def warned(name: str, *settings: str) -> list[str]:
        capsys.readouterr()
        run(configured(tree, *begin, *settings), tmp_path / name)
        return [line for line in capsys.readouterr().err.splitlines() if "warning" in line]

    assert warned("alike", "seed=1") == []
    assert warned("all", "data.val_fraction=0") == []
    (line,) = warned("otherwise", "data.split_seed=1")
    assert line.startswith(f"warning: {teacher} may have learned from photos that are held out now")


def test_compression_finds_the_photos_that_training_held_out(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    settings = ("trainer.epochs=0", "seed=1", "data.split_seed=2")
    info, _ = load_checkpoint(run(configured(tree, *settings), tmp_path / "run").checkpoint)

    assert Photos.of(info).val == split_by_class(read_dataset(tree).train, 0.25, seed=2)[1]
    assert Photos.of(info).val != split_by_class(read_dataset(tree).train, 0.25, seed=1)[1]


def test_frozen_batch_norms_keep_their_statistics(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    run(configured(tree, "optimizer.freeze_batch_norm=true", "trainer.epochs=2"), tmp_path / "run")

    _, weights = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    means = [value for name, value in weights.items() if name.endswith("running_mean")]
    assert means
    assert all((mean == 0).all() for mean in means)


def test_frozen_layer_groups_stay_as_they_were_and_the_others_learn(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    for name, settings in {"start": ["trainer.epochs=0"], "end": ["trainer.epochs=2"]}.items():
        run(configured(tree, "optimizer.frozen_groups=2", *settings), tmp_path / name)

    _, start = load_checkpoint(tmp_path / "start" / "checkpoint.safetensors")
    _, end = load_checkpoint(tmp_path / "end" / "checkpoint.safetensors")
    changed = {name.partition(".")[0] for name in start if not torch.equal(start[name], end[name])}
    assert changed == {"layer2", "layer3", "layer4", "fc"}


def test_more_layer_groups_than_there_are_cannot_be_frozen(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    with pytest.raises(CheckpointError, match=r"has 5 layer groups .*frozen_groups=6 cannot"):
        run(configured(tree, "optimizer.frozen_groups=6"), tmp_path / "run")


def test_a_student_learns_from_a_teachers_checkpoint_without_labels(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    teacher = run(configured(tree, "trainer.epochs=6"), tmp_path / "teacher")

    student = run(
        configured(tree, f"distill.teachers=[{teacher.checkpoint}]", "trainer.epochs=6", "seed=1"),
        tmp_path / "student",
    )

    assert student.metrics["test/top1"] >= 0.75


def test_labels_count_beside_the_teacher_below_a_weight_of_one(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    """A teacher that has learned nothing teaches nothing; the labels beside it do."""
    ignorant = run(configured(tree, "trainer.epochs=0"), tmp_path / "teacher").checkpoint
    taught = {
        weight: run(
            configured(
                tree, f"distill.teachers=[{ignorant}]", f"distill.weight={weight}", "seed=1",
                "trainer.epochs=6", "data.val_fraction=0",
            ),
            tmp_path / str(weight),
        ).metrics["test/loss"]
        for weight in (0.1, 1.0)
    }  # fmt: skip

    assert taught[0.1] < 0.7 * taught[1.0]


def test_with_nothing_held_out_every_photo_is_learned_from_and_the_last_epoch_is_kept(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    trained = run(configured(tree, "data.val_fraction=0", "trainer.epochs=2"), tmp_path / "run")

    assert not (tmp_path / "run" / "best.ckpt").exists()
    assert {name.split("/")[0] for name in trained.metrics} == {"test"}
    last = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)
    weights = load_checkpoint(trained.checkpoint)[1]
    for name, tensor in weights.items():
        assert torch.equal(tensor, last["state_dict"][f"network.{name}"]), name


def test_a_probe_alone_fits_the_classifier_and_leaves_the_features(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    start = run(configured(tree, "trainer.epochs=0"), tmp_path / "start")
    probe = run(
        configured(
            tree, "trainer.epochs=0", "probe.views=3", f"model.init_from={start.checkpoint}"
        ),
        tmp_path / "probe",
    )

    _, before = load_checkpoint(start.checkpoint)
    _, after = load_checkpoint(probe.checkpoint)
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"fc.bias", "fc.weight"}
    assert probe.metrics["test/loss"] < start.metrics["test/loss"]


def test_a_teacher_of_other_classes_is_refused(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    teacher = run(configured(tree, "trainer.epochs=1"), tmp_path / "teacher")
    for part in ("train", "test"):
        (tree / part / "Red_Diamond").rename(tmp_path / part)

    with pytest.raises(CheckpointError, match="knows 3 classes, the data has 2"):
        run(configured(tree, f"distill.teachers=[{teacher.checkpoint}]"), tmp_path / "student")


def test_a_teacher_of_as_many_other_classes_is_refused(
    tree: Path, tmp_path: Path, configured: Configure
) -> None:
    teacher = run(configured(tree, "trainer.epochs=0"), tmp_path / "teacher")
    for part in ("train", "test"):
        (tree / part / "Blue_Disc").rename(tree / part / "Violet_Disc")

    with pytest.raises(CheckpointError, match="'Blue_Disc' where the data has 'Green_Square'"):
        run(configured(tree, f"distill.teachers=[{teacher.checkpoint}]"), tmp_path / "student")


def test_a_network_is_measured_where_it_was_trained(
    tree: Path, tmp_path: Path, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be no second device here, so what each trainer is asked for is noted."""
    asked = []
    whole = L.Trainer.__init__

    def noting(self: L.Trainer, **settings: Any) -> None:
        asked.append(settings["accelerator"])
        whole(self, **settings)

    monkeypatch.setattr(L.Trainer, "__init__", noting)
    run(configured(tree, "trainer.epochs=1"), tmp_path / "run")

    assert asked == ["cpu", "cpu"]


def test_wandb_records_whether_a_run_failed(
    tree: Path, tmp_path: Path, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, finish = [], wandb.finish
    settings = ("wandb.mode=offline", "trainer.epochs=1")

    def noting(exit_code: int | None = None) -> None:
        ended.append(exit_code)
        finish(exit_code)

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(wandb, "finish", noting)
    with pytest.raises(TrainingError):
        run(configured(tree, *settings, "optimizer.lr=1e30"), tmp_path / "diverges")
    run(configured(tree, *settings), tmp_path / "learns")

    assert ended == [1, 0]


def test_wandb_records_offline_with_neither_key_nor_network(
    tree: Path, tmp_path: Path, configured: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    trained = run(configured(tree, "wandb.mode=offline", "trainer.epochs=1"), tmp_path / "run")

    assert wandb.run is None  # what comes next in this process has a record of its own
    records = list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(records) == 1
    run_id = load_checkpoint(trained.checkpoint)[0].provenance.tracker_run
    assert run_id
    assert run_id in records[0].name
    wandb.teardown()  # its other process may still be writing what it was told
    record = records[0].read_bytes()
    figures = [name.encode() for name in trained.metrics]
    assert b"test/top1" in figures
    assert [figure for figure in figures if figure not in record] == []
