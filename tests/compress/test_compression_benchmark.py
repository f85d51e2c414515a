"""The benchmark of compression runs on real bundles, and its front holds what nothing beats."""

import json
from pathlib import Path

import pytest
import typer

from birdedge.benchmarks.compression import EAGER, main
from birdedge.benchmarks.pareto import Point, pareto_front
from birdedge.compress.compress import compress
from birdedge.compress.prune import Pruning
from birdedge.compress.shrink import prune_checkpoint
from birdedge.compress.targets import Calibration
from birdedge.compress.tolerance import Tolerance
from birdedge.train.checkpoint import save_checkpoint


def point(milliseconds: float, top1: float) -> Point:
    return Point(
        level=1, target="onnx-int8", top1=top1, low=top1, high=top1, milliseconds=milliseconds
    )


def test_the_front_holds_what_nothing_beats() -> None:
    fast, good, worse, slow = point(1, 0.7), point(2, 0.9), point(3, 0.8), point(9, 0.95)
    assert pareto_front([worse, slow, good, fast]) == [fast, good, slow]


def test_every_target_is_measured_next_to_pytorch(trained, tmp_path: Path, capsys) -> None:
    """Also in accuracy: what its training noted is of its training's own arithmetic."""
    full = tmp_path / "full.safetensors"
    info = trained.info.model_copy(update={"metrics": {"test/top1": 0.123}})
    save_checkpoint(full, trained.network, info)
    compress(
        full, tmp_path / "bundle", calibration=Calibration(photos=12), tolerance=Tolerance(20, 80)
    )

    main(full, [tmp_path / "bundle"], tmp_path / "out", rounds=3)

    rows = json.loads((tmp_path / "out" / "compression.json").read_text())["rows"]
    assert [row["target"] for row in rows] == [EAGER, "onnx-fp32", "onnx-int8"]
    assert all(row["milliseconds"] > 0 for row in rows)
    assert all(row["low"] < row["top1"] < row["high"] for row in rows if row["top1"] < 1)
    assert rows[0]["top1"] == rows[1]["top1"]
    assert rows[2]["megabytes"] < rows[1]["megabytes"]
    assert (tmp_path / "out" / "compression.md").read_text() in capsys.readouterr().out
    assert (tmp_path / "out" / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_a_bundle_of_what_was_pruned_from_it_and_kept_is_measured_too(
    trained, tmp_path: Path
) -> None:
    pruned = tmp_path / "pruned.safetensors"
    prune_checkpoint(trained.path, pruned, Pruning(0.5))
    compress(
        pruned, tmp_path / "bundle", calibration=Calibration(photos=12), tolerance=Tolerance(100, 0)
    )

    main(trained.path, [tmp_path / "bundle"], tmp_path / "out", rounds=3)

    eager, *rows = json.loads((tmp_path / "out" / "compression.json").read_text())["rows"]
    assert eager["level"] == 1
    assert all(0.3 < row["level"] < 0.7 for row in rows)


def test_a_bundle_of_other_species_or_photos_is_refused_before_anything_is_timed(
    trained, tmp_path: Path
) -> None:
    compress(
        trained.path,
        tmp_path / "bundle",
        calibration=Calibration(photos=12),
        tolerance=Tolerance(20, 80),
    )
    other = tmp_path / "other.safetensors"
    renamed = [
        label.model_copy(update={"scientific_name": f"{label.scientific_name} minor"})
        for label in trained.info.labels
    ]
    info = trained.info.model_copy(update={"labels": tuple(renamed)})
    save_checkpoint(other, trained.network, info)

    told = r"bundle knows other species than .*other\.safetensors"
    with pytest.raises(typer.BadParameter, match=told):
        main(other, [tmp_path / "bundle"], tmp_path / "out")
    manifest = tmp_path / "bundle" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"samples": 24', '"samples": 23'))
    with pytest.raises(typer.BadParameter, match="bundle was measured on 23 photos, not on 24"):
        main(trained.path, [tmp_path / "bundle"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
