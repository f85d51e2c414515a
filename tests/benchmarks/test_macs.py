"""Multiply-adds are counted alike by the file and by the network."""

from collections.abc import Callable
from pathlib import Path

import pytest
from colours import SIZE

from birdedge.benchmarks.macs import count_onnx, macs_of
from birdedge.runtime.bundle import ModelBundle


def test_convolutions_and_products_are_counted(
    network: Callable[..., Path], tmp_path: Path
) -> None:
    small = count_onnx(network(tmp_path / "small.onnx"))
    heavy = count_onnx(network(tmp_path / "heavy.onnx", heavy=1, batch=1))

    assert small == 3 * 3
    positions = SIZE * SIZE
    assert heavy == 3 * 3 + positions * 96 * (3 * 9 + 96 * 9) + 96 * 3


def test_sizes_that_nobody_knows_give_no_figure(
    network: Callable[..., Path], tmp_path: Path
) -> None:
    assert count_onnx(network(tmp_path / "any.onnx", heavy=1, size="side")) is None


def test_what_is_no_network_gives_no_figure(tmp_path: Path) -> None:
    (tmp_path / "junk.onnx").write_bytes(b"\xff" * 100)

    assert count_onnx(tmp_path / "junk.onnx") is None


def test_the_model_inside_looks_at_each_picture_twice(default_model: Path) -> None:
    """MobileNetV2 has 300 million multiply-adds, and this one averages over a mirror image."""
    assert macs_of(ModelBundle.load(default_model)) == pytest.approx(2 * 300e6, rel=0.02)
