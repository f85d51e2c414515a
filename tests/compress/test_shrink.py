"""Pruning and training within a compression, and what is kept of them."""

import json
import shutil
from pathlib import Path

import pytest
from quick import QUICK
from typer.testing import CliRunner

from birdedge.compress import shrink as shrinking
from birdedge.compress.commands import compress
from birdedge.compress.compress import compress as make_bundle
from birdedge.compress.latency import Deadline
from birdedge.compress.prune import Pruning
from birdedge.compress.shrink import Shrinking, measure, shrink
from birdedge.compress.targets import Calibration
from birdedge.compress.tolerance import Tolerance
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import BackendError
from birdedge.train.checkpoint import load_checkpoint, save_checkpoint
from birdedge.train.layouts import read_dataset, species_labels

LOOSE = ("--max-drop", "50", "--min-agreement", "0")


def test_what_was_done_is_not_done_again(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("pruned again")

    work = tmp_path / "work"
    first = shrink(trained.path, work, Shrinking(Pruning(0.7), recovery=QUICK))
    monkeypatch.setattr(shrinking, "prune", never)
    again = shrink(trained.path, work, Shrinking(Pruning(0.7), recovery=QUICK))
    assert again == first
    assert list(first.figures) == ["as trained", "pruned", "recovered"]

    # What pruning gave is of use even when recovery is wanted otherwise.
    shutil.rmtree(work / "recovered")
    shrink(trained.path, work, Shrinking(Pruning(0.7), recovery=(*QUICK, "optimizer.lr=0.001")))
    with pytest.raises(AssertionError, match="pruned again"):
        shrink(trained.path, work, Shrinking(Pruning(0.6), recovery=QUICK))


def test_what_another_teacher_taught_is_learned_again(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file has the same name as the one before it."""
    teacher = tmp_path / "teacher.safetensors"
    recovered = []

    def recover(start: Path, *_: object) -> None:
        recovered.append(start)
        shutil.copyfile(start, tmp_path / "work" / "recovered.partial" / "checkpoint.safetensors")

    monkeypatch.setattr(shrinking, "recover", recover)
    settings = (*QUICK, f"distill.teachers=[{teacher}]")
    for metrics in ({}, {}, {"val/top1": 0.5}):
        info = trained.info.model_copy(update={"metrics": metrics})
        save_checkpoint(teacher, trained.network, info)
        shrink(trained.path, tmp_path / "work", Shrinking(Pruning(0.7), recovery=settings))

    assert len(recovered) == 2


def test_a_deadline_that_was_met_elsewhere_is_searched_for_here(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pruned = []
    prune = shrinking.prune_checkpoint
    monkeypatch.setattr(
        shrinking, "prune_checkpoint", lambda *a, **k: pruned.append(a) or prune(*a, **k)
    )
    goal = Shrinking(Pruning(0.7), Deadline(100_000, "onnx-fp32"))
    for machine in ("a Pi", "a Pi", "a server"):
        monkeypatch.setattr(shrinking, "made_with", lambda machine=machine: {"machine": machine})
        shrink(trained.path, tmp_path / "work", goal)

    assert len(pruned) == 2


def test_compress_prunes_recovers_and_packages(trained, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    (tmp_path / "bundle.work").mkdir()
    (tmp_path / "bundle.work" / "mine.txt").write_text("mine")
    settings = [item for setting in QUICK for item in ("--recover", setting)]
    result = CliRunner().invoke(
        compress,
        [str(trained.path), "-o", str(out), "--macs", "0.7", *settings, *LOOSE,
         "--calibration-photos", "12", "--json"],
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["stages"]["recovered"]["macs"] <= 0.7 * report["stages"]["as trained"]["macs"]
    assert set(report["targets"]) == {"onnx-fp32", "onnx-int8"}
    compression = ModelBundle.load(out).manifest.provenance["compression"]
    assert compression["stages"] == report["stages"]
    assert compression["pruning"]["macs"] == 0.7
    assert (tmp_path / "bundle.work" / "mine.txt").read_text() == "mine"
    assert len([*(tmp_path / "bundle.work").iterdir()]) == 1


def test_a_compression_that_fails_keeps_its_stages_and_no_bundle(trained, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with pytest.raises(BackendError, match="points of validation top-1"):
        make_bundle(
            trained.path,
            out,
            shrinking=Shrinking(Pruning(0.7), recovery=QUICK),
            calibration=Calibration(photos=12),
            tolerance=Tolerance(-101, 0),  # no network can gain so much
        )

    assert not out.exists()
    kept = {path.name for path in (tmp_path / "bundle.work").iterdir()}
    assert {"pruned", "recovered", "measured", "onnx-fp32"} <= kept


def test_compress_trains_for_int8_where_it_is_asked_to(trained, tmp_path: Path) -> None:
    out, work = tmp_path / "bundle", tmp_path / "work"
    settings = [item for setting in QUICK for item in ("--recover", setting)]
    result = CliRunner().invoke(
        compress,
        [str(trained.path), "-o", str(out), "--quantization-aware", "2", *settings,
         "--work", str(work), *LOOSE, "--calibration-photos", "12", "--json"],
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    stages = json.loads(result.stdout)["stages"]
    assert list(stages) == ["as trained", "quantization-aware"]
    assert stages["quantization-aware"]["macs"] == stages["as trained"]["macs"]
    info, weights = load_checkpoint(work / "quantization-aware" / "checkpoint.safetensors")
    assert info.provenance.config["quantization_aware"] is True
    assert info.provenance.config["trainer"]["epochs"] == 2
    assert weights.keys() == load_checkpoint(trained.path)[1].keys()


@pytest.mark.parametrize(
    ("pruning", "rates"),
    [
        (None, {"quantization-aware": 0.00001}),
        (Pruning(0.7), {"recovered": 0.00001, "quantization-aware": 0.0001}),
    ],
)
def test_settings_are_for_recovery_and_for_int8_where_there_is_none(
    trained, tmp_path: Path, pruning: Pruning | None, rates: dict[str, float]
) -> None:
    # Labels as training gives them, for what comes out of one stage goes into the next.
    labels = tuple(species_labels(read_dataset(trained.photos).classes, None))
    checkpoint = tmp_path / "trained.safetensors"
    save_checkpoint(checkpoint, trained.network, trained.info.model_copy(update={"labels": labels}))
    asked = (*QUICK, "optimizer.lr=0.00001", "optimizer.weight_decay=0.5")
    shrink(checkpoint, tmp_path, Shrinking(pruning, recovery=asked, int8_epochs=1))

    for stage, rate in rates.items():
        info, _ = load_checkpoint(tmp_path / stage / "checkpoint.safetensors")
        optimizer = info.provenance.config["optimizer"]
        assert optimizer["lr"] == rate
        assert optimizer["weight_decay"] == 0.5
        assert optimizer["freeze_batch_norm"] is (stage == "quantization-aware")


def test_a_network_that_meets_its_deadline_stays_whole(trained, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    result = CliRunner().invoke(
        compress,
        [str(trained.path), "-o", str(out), "--latency", "100000", *LOOSE,
         "--calibration-photos", "12", "--json"],
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert "the whole network is fast enough: nothing is pruned" in result.stderr
    assert json.loads(result.stdout)["stages"] == {}
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    compression = ModelBundle.load(out).manifest.provenance["compression"]
    assert "pruning" not in compression
    assert compression["latency"]["target"] == "onnx-int8"
    assert 0 < compression["latency"]["measured"] < compression["latency"]["milliseconds"]
    assert f"onnx-int8 takes {compression['latency']['measured']:.1f} ms" in result.stderr


def test_a_compression_without_pruning_touches_no_folder_beside(trained, tmp_path: Path) -> None:
    (tmp_path / "bundle.work").mkdir()
    (tmp_path / "bundle.work" / "mine.txt").write_text("mine")
    result = CliRunner().invoke(
        compress,
        [str(trained.path), "-o", str(tmp_path / "bundle"), "--targets", "onnx-fp32"],
    )
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "bundle.work" / "mine.txt").read_text() == "mine"


def test_stages_are_measured_on_pictures_of_their_own_size(trained, tmp_path: Path) -> None:
    """A network that learned from other sizes than its parent is shown those."""
    larger = tmp_path / "larger.safetensors"
    preprocess = trained.info.preprocess.model_copy(update={"input_size": (96, 96)})
    info = trained.info.model_copy(update={"preprocess": preprocess})
    save_checkpoint(larger, trained.network, info)

    figures = measure({"as trained": trained.path, "larger": larger})
    assert figures["larger"].macs > 2 * figures["as trained"].macs
    alone = measure({"larger": larger})["larger"]
    assert figures["larger"].top1 == alone.top1
