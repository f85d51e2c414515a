"""The benchmark of model sync runs through, and what no busy machine can change is as wanted."""

import re

import pytest
from typer.testing import CliRunner

from birdedge.benchmarks.sync.__main__ import app


def told(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def figure(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, text
    return float(found[1].replace(",", ""))


@pytest.mark.slow
def test_a_poll_and_a_changed_file_cost_little() -> None:
    text = told("costs", "--megabytes", "12")

    assert figure(r"poll without news: (\d+) requests", text) <= 2
    assert figure(r"([\d,]+) bytes from the server", text) <= 5000
    assert figure(r"model_int8.onnx .* ([\d.]+) x", text) <= 1.02


@pytest.mark.slow
def test_a_killed_sync_leaves_a_device_that_starts() -> None:
    text = told("kills", "--times", "3", "--limit-kb", "20000")

    assert "3 kills" in text
    assert figure(r"bad states: (\d+)", text) == 0
    assert "the newest is whole and in use" in text


@pytest.mark.slow
def test_a_camera_goes_on_through_swaps() -> None:
    text = told("swap", "--seconds", "5", "--rounds", "1", "--every", "1.5", "--crowded")

    assert figure(r"with swaps: .* (\d+) swaps", text) >= 1
    assert "beyond the" in text
