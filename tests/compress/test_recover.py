"""Pruned networks learn back, in training's own loop; `birdedge compress` does it all in one go."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from birdedge.compress import shrink as shrinking
from birdedge.compress.commands import compress
from birdedge.compress.compress import compress as make_bundle
from birdedge.compress.photos import batches
from birdedge.compress.prune import Pruning
from birdedge.compress.recover import recover as run
from birdedge.compress.shrink import Shrinking, measure, prune_checkpoint, shrink
from birdedge.compress.shrink_commands import prune, recover
from birdedge.compress.targets import Calibration
from birdedge.compress.tolerance import Tolerance
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import BackendError, CheckpointError
from birdedge.train.checkpoint import load_checkpoint, save_checkpoint
from birdedge.train.layouts import read_dataset, species_labels
from birdedge.train.model import network_of

LOOSE = ("--max-drop", "50", "--min-agreement", "0")
QUICK = (
    "trainer.epochs=1", "trainer.accelerator=cpu", "trainer.precision=32-true",
    "data.batch_size=16", "data.workers=0", "wandb.mode=disabled",
)  # fmt: skip


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


@pytest.mark.parametrize(
    "goal", [[], ["--macs", "0.5", "--latency", "3"], ["--macs", "1.5"], ["--importance", "luck"]]
)
def test_a_goal_that_makes_no_sense_is_wrong_usage(goal: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(prune, ["x.safetensors", "-o", str(tmp_path / "y"), *goal])
    assert result.exit_code == 2


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
    assert {"pruned", "recovered", "measured", "exported-onnx"} <= kept


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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--macs", "nan"], "Invalid value for '--macs'"),
        (["--max-drop", "nan"], "Invalid value for '--max-drop'"),
        (["--scope", "global"], "--scope goes with --macs or --latency"),
        (["--round-to", "4"], "--round-to goes with --macs or --latency"),
        (["--recover", "trainer.epochs=1"], "--recover goes with --macs, --latency or"),
        (["--macs", "0.5", "--on", "tflite-int8"], "--on goes with --latency"),
        (["--macs", "0.5", "--steps", "2"], "--steps goes with --importance taylor"),
        (["--targets", "onnx-fp32", "--calibration", "entropy"], "--calibration goes with INT8"),
        (["--targets", "onnx-fp32", "--min-agreement", "9"], "--min-agreement goes with INT8"),
        (
            ["--targets", "onnx-fp32", "--quantization-aware", "2"],
            "--quantization-aware goes with INT8 targets",
        ),
        (["--latency", "9", "--on", "tflite-int8"], "is not among --targets"),
        (["--latency", "9", "--macs", "0.5"], "either --macs or --latency"),
    ],
)
def test_options_that_would_do_nothing_are_wrong_usage(
    options: list[str], said: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(
        compress, ["x.safetensors", "-o", str(tmp_path / "bundle"), *options], terminal_width=200
    )
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize("option", [["--on", "tflite-int8"], ["--steps", "2"]])
def test_options_that_would_do_nothing_are_wrong_usage_of_prune_too(
    option: list[str], tmp_path: Path
) -> None:
    arguments = ["x.safetensors", "-o", str(tmp_path / "y"), "--macs", "0.5", *option]
    result = CliRunner().invoke(prune, arguments, terminal_width=200)
    assert result.exit_code == 2
    assert f"{option[0]} goes with" in result.stderr


@pytest.mark.parametrize("goal", [[], ["--macs", "0.5"]])
@pytest.mark.parametrize("out", [".", "/"])
def test_a_folder_that_is_there_is_refused_whatever_it_is_called(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, goal: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(compress, [str(trained.path), "-o", out, *goal])

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.endswith(
        f"{Path(out).resolve()} exists already; choose another --out, or use --force"
    )


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


def test_a_compression_without_pruning_touches_no_folder_beside(trained, tmp_path: Path) -> None:
    (tmp_path / "bundle.work").mkdir()
    (tmp_path / "bundle.work" / "mine.txt").write_text("mine")
    result = CliRunner().invoke(
        compress,
        [str(trained.path), "-o", str(tmp_path / "bundle"), "--targets", "onnx-fp32"],
    )
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "bundle.work" / "mine.txt").read_text() == "mine"


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
