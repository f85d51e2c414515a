"""Nobody is told that birdedge was used: not by import, conversion, quantization or inference."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLASSIFY = """
import numpy as np
import birdedge

birdedge.load().classify(np.zeros((60, 60, 3), np.uint8))
"""

OPENVINO = """
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
assert Path("model_int8.xml").exists()
"""


@pytest.mark.parametrize("work", [CLASSIFY, OPENVINO], ids=["ONNX Runtime", "OpenVINO and NNCF"])
def test_no_use_is_reported_to_the_makers_of_a_tool(work: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # Tools report nothing from continuous integration or pytest's own process anyway.
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    subprocess.run([sys.executable, "-c", work], cwd=tmp_path, env=environment, check=True)
    # Before they report, tools give themselves a number to be known by, and keep it there.
    assert not _identities(home)


def test_who_wants_to_report_may(tmp_path: Path) -> None:
    """And the test above would see it."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "0"}
    subprocess.run([sys.executable, "-c", CLASSIFY], cwd=tmp_path, env=environment, check=True)

    assert _identities(tmp_path)


def _identities(home: Path) -> list[Path]:
    files = (path for path in home.rglob("*") if path.is_file())
    return [path for path in files if {"intel", "Microsoft"} & set(path.parts)]
