"""Nobody is told that birdedge was used: not by import, conversion, quantization or inference."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from birdedge.runtime.untracked import untracked


@pytest.mark.parametrize("before", [None, "false"])
def test_the_environment_is_as_it_was_afterwards(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is None:
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", before)
    with untracked():
        assert os.environ["CI"] == "true"
    assert os.environ.get("CI") == before


WORK = """
from pathlib import Path
import numpy as np
import torch
from birdedge.compress.exporters import load_exporter
from birdedge.compress.quantizers import CalibrationSet, quantize
from birdedge.runtime.preprocess import Preprocess

network = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
)
source = load_exporter("openvino").export(network.eval(), (32, 32), Path())
pictures = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
quantize(source, CalibrationSet(pictures, Preprocess(input_size=(32, 32))), Path())
"""


def test_no_use_is_reported_to_the_makers_of_a_tool(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    # Not within pytest's own process: there NNCF reports nothing anyway.
    subprocess.run(
        [sys.executable, "-c", WORK],
        cwd=tmp_path,
        env=environment | {"HOME": str(home)},
        check=True,
    )
    assert (tmp_path / "model_int8.xml").exists()
    # Before it reports, the tool gives itself a number to be known by.
    assert not (home / "intel").exists()
