"""`birdedge bench` as it is called."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from birdedge.runtime.backends import default_threads
from birdedge.runtime.bundle import ModelBundle

Birdedge = Callable[..., subprocess.CompletedProcess[str]]

QUICK = ("--rounds", 3, "--seconds", 0, "--cold-starts", 1)


@pytest.mark.slow
def test_a_run_writes_a_table_json_csv_and_a_page(
    birdedge: Birdedge, make_bundle: Callable[..., ModelBundle], photos: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(heavy=1)
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    Image.new("RGB", (40, 40), "gray").save(strangers / "fence.png")
    done = birdedge(
        "bench", bundle.folder, "--data", photos, "--not-birds", strangers,
        "--robustness", 6, "--out", "report", "--recommend", "--latency-ms", 1000, *QUICK,
    )  # fmt: skip
    again = birdedge("bench", "compare", "report/bench.json", "report/bench.json")

    assert done.returncode == 0, done.stderr
    head, first, *others = done.stdout.splitlines()
    assert head.split()[:4] == ["model", "target", "threads", "size"]
    assert "97.2% [85.8, 99.5]" in first
    assert len(others) == 1
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "bench.csv", "bench.html", "bench.json", "bench.md", "bench.png",
    ]  # fmt: skip
    report = json.loads((tmp_path / "report" / "bench.json").read_text())
    row = report["rows"][0]
    assert row["accuracy"]["auroc"] == 1.0
    assert list(row["robustness"]) == ["brightness", "blur", "noise", "JPEG", "small bird"]
    assert len(row["robustness"]["blur"]) == 4
    assert row["digest"] == bundle.digest()
    assert {peak["kind"] for peak in report["peaks"]} == {"fp32", "int8"}
    assert report["photos"] == "36 photos of photos"
    assert row["threads"] == default_threads()
    best = max(peak["gmacs"] for peak in report["peaks"] if peak["kind"] == "fp32")
    done_in_a_second = row["macs"] / (row["latency"]["p50"]["value"] / 1000)
    assert row["share_of_peak"] == pytest.approx(done_in_a_second / (best * 1e9))
    assert report["interrupted"] is False
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"birdedge: `--target auto` takes {bundle.manifest.id} onnx-fp32 with ")
    assert again.returncode == 0
    assert "1.000 [" in again.stdout


@pytest.mark.slow
def test_a_small_computer_needs_nothing_that_trains_or_compresses(
    birdedge: Birdedge, make_bundle: Callable[..., ModelBundle], photos: Path, tmp_path: Path
) -> None:
    """The extra `bench` brings neither torch nor what goes with it."""
    for package in ("torch", "torchvision", "timm", "lightning", "omegaconf", "hydra", "wandb",
                    "safetensors", "nncf", "onnxscript", "torch_pruning"):  # fmt: skip
        (tmp_path / "without" / package).mkdir(parents=True)
        (tmp_path / "without" / package / "__init__.py").write_text(
            f"raise ModuleNotFoundError('No module named {package}', name={package!r})\n"
        )
    without = {"PYTHONPATH": str(tmp_path / "without")}
    done = birdedge(
        "bench", make_bundle(heavy=1).folder, "--data", photos, "--robustness", 3,
        "--recommend", "--out", "report", *QUICK, env=without,
    )  # fmt: skip
    again = birdedge("bench", "compare", *["report/bench.json"] * 2, env=without)

    assert (done.returncode, again.returncode) == (0, 0), done.stderr + again.stderr
    assert "97.2% [85.8, 99.5]" in done.stdout


@pytest.mark.slow
def test_what_became_worse_is_exit_code_1(
    birdedge: Birdedge, make_bundle: Callable[..., ModelBundle], tmp_path: Path
) -> None:
    bundle = make_bundle(heavy=1)
    birdedge("bench", bundle.folder, "--out", "old", "--no-peers", *QUICK)
    report = json.loads((tmp_path / "old" / "bench.json").read_text())
    (row,) = report["rows"]
    row["latency"]["rounds"] = [[2 * one for one in each] for each in row["latency"]["rounds"]]
    (tmp_path / "new.json").write_text(json.dumps(report))
    worse = birdedge("bench", "compare", "old/bench.json", "new.json")
    allowed = birdedge(
        "bench", "compare", "old/bench.json", "new.json", "--latency-budget", 900, "--json"
    )
    markdown = birdedge("bench", "table", "new.json")
    page = birdedge("bench", "page", "new.json", "--out", "new.html")

    assert worse.returncode == 1
    assert worse.stdout.splitlines()[1].endswith("slower")
    assert allowed.returncode == 0
    change = json.loads(allowed.stdout)
    assert (change["target"], change["regression"]) == ("onnx-fp32", False)
    assert change["slower"]["value"] == pytest.approx(2)
    assert page.returncode == 0
    assert "<svg" in (tmp_path / "new.html").read_text()
    assert markdown.stdout.startswith("| model | target | threads | size MB |")


@pytest.mark.slow
def test_alone_it_measures_the_model_inside_and_names_its_folder_by_the_time(
    birdedge: Birdedge, tmp_path: Path
) -> None:
    done = birdedge("bench", "--no-peers", "--json", *QUICK)

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [row["target"] for row in report["rows"]] == ["onnx-int8"]
    assert report["rows"][0]["accuracy"] is None
    (folder,) = (tmp_path / "bench").iterdir()
    assert (folder / "bench.html").is_file()


def test_a_target_that_cannot_run_is_a_row_and_only_no_row_at_all_a_failure(
    birdedge: Birdedge, with_engines: Callable[..., ModelBundle], tmp_path: Path
) -> None:
    path = {"PYTHONPATH": str(tmp_path / "package")}
    bundle = with_engines("missing", "onnx")
    done = birdedge("bench", bundle.folder, "--threads", 1, "--out", "one", *QUICK, env=path)
    none = birdedge(
        "bench", bundle.folder, "--targets", "missing", "--out", "none", *QUICK, env=path
    )

    assert done.returncode == 0
    assert "missing with 1 thread: this needs a_package_that_nobody_has" in done.stderr
    assert none.returncode == 1
    assert (tmp_path / "none" / "bench.html").is_file()


@pytest.mark.slow
def test_ctrl_c_keeps_the_finished_rounds(
    environment: dict[str, str], bundle: ModelBundle, tmp_path: Path
) -> None:
    command = [
        sys.executable, "-m", "birdedge", "bench", str(bundle.folder), "--rounds", "100000",
        "--cold-starts", "0", "--out", "report",
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job would not hear of it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        assert running.stderr is not None
        assert "looking at the machine" in running.stderr.readline()
        time.sleep(6.0)
        os.kill(running.pid, signal.SIGINT)
        _, err = running.communicate(timeout=60)

    assert running.returncode == 130, err
    assert "WARNING: this run was ended before it was done" in err
    report = json.loads((tmp_path / "report" / "bench.json").read_text())
    assert report["interrupted"] is True
    assert not list((tmp_path / "report").glob(".*"))
    assert all(len(row["latency"]["rounds"]) > 3 for row in report["rows"])


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--threads", "one"], 2, "'one' is no list of numbers, such as 1,2"),
        (["--batch", "0"], 2, "each must be at least 1"),
        (["--threads", "1,257"], 2, "each may be at most 256"),
        (["--latency-ms", "5"], 2, "it is about --recommend"),
        (["--max-drop", "1"], 2, "it is about --recommend"),
        (["--not-birds", "nowhere"], 2, "it is about photos; give --data"),
        (["--robustness", "5"], 2, "it is about photos; give --data"),
        (["--data", "photos", "--not-birds", "nowhere"], 1, "nowhere: no such folder"),
        (["--data", "photos/Indigo_Bunting", "--robustness", "5"], 1, "not sorted by species"),
        (["--rounds", "0"], 2, "greater than or equal to 3"),
        (["nowhere"], 1, "nowhere"),
        (["--targets", "tpu"], 1, "no bundle has a target 'tpu'; there are onnx-int8"),
        (["--data", "nowhere"], 1, "nowhere: no such folder"),
        (["--out", "/proc/report"], 1, "cannot write to /proc/report"),
        (["compare", "a.json", "b.json"], 1, "cannot read a.json"),
        (["table", "a.json"], 1, "cannot read a.json"),
        (["page", "a.json", "--out", "a.html"], 1, "cannot read a.json"),
    ],
)
def test_wrong_usage_is_told_in_a_line(
    birdedge: Birdedge, photos: Path, options: list[str], code: int, told: str
) -> None:
    done = birdedge("bench", *options)

    assert done.returncode == code
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_a_disk_that_is_full_at_the_end_does_not_cost_the_table(
    birdedge: Birdedge, bundle: ModelBundle, tmp_path: Path
) -> None:
    (tmp_path / "report" / "bench.html").mkdir(parents=True)
    done = birdedge("bench", bundle.folder, "--no-peers", "--out", "report", *QUICK)

    assert done.returncode == 1
    assert "onnx-fp32" in done.stdout
    assert "cannot write to report: Is a directory" in done.stderr
    assert (tmp_path / "report" / "bench.json").is_file()


def test_photos_of_species_that_nobody_knows_are_told(
    birdedge: Birdedge, bundle: ModelBundle, photos: Path
) -> None:
    for folder in photos.iterdir():
        folder.rename(folder.with_name("Not_" + folder.name))
    done = birdedge("bench", bundle.folder, "--data", photos, "--no-peers", "--recommend", *QUICK)

    assert "it knows none of the species in photos" in done.stderr
    assert done.returncode == 1, "nothing can be recommended"


def test_two_folders_of_one_model_are_refused(birdedge: Birdedge, bundle: ModelBundle) -> None:
    done = birdedge("bench", bundle.folder, bundle.folder)

    assert done.returncode == 1
    assert "are both" in done.stderr


def test_help_names_the_other_commands(birdedge: Birdedge) -> None:
    done = birdedge("bench", "--help")

    assert done.returncode == 0
    assert "--not-birds" in done.stdout
    assert "bench compare OLD NEW" in " ".join(done.stdout.split())
