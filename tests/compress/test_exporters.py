"""What is ncnn's alone among the exporters; tests/contracts holds what all have in common."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from birdedge.compress.exporters import Exported, load_exporter
from birdedge.compress.features import WithFeatures
from birdedge.compress.mirror import Mirrored
from birdedge.compress.verify import run_exported
from birdedge.runtime.backends import Pixels
from birdedge.runtime.backends.ncnn import NcnnBackend
from birdedge.runtime.errors import BackendError
from birdedge.runtime.golden import draw_golden_inputs
from birdedge.runtime.preprocess import Preprocess

SIZE = (64, 64)
PREPROCESS = Preprocess(input_size=SIZE)


def export(name: str, network: nn.Module, folder: Path) -> Exported:
    folder.mkdir()
    return load_exporter(name).export(network.eval(), SIZE, folder)


def test_ncnn_leaves_its_two_files_alone_and_says_nothing(
    network: nn.Module, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    exported = export("ncnn", network, tmp_path / "once")
    again = export("ncnn", network, tmp_path / "again")

    assert sorted(exported.files[0].parent.iterdir()) == sorted(exported.files)
    for file, same in zip(exported.files, again.files, strict=True):
        assert file.read_bytes() == same.read_bytes()
    assert capfd.readouterr() == ("", "")


def test_ncnn_with_float16_weights_is_half_as_large_and_answers_alike(
    network: nn.Module, tmp_path: Path
) -> None:
    whole, half = (export(name, network, tmp_path / name) for name in ("ncnn", "ncnn-fp16"))
    drawn = draw_golden_inputs(SIZE)
    expected, given = (run_exported(model, PREPROCESS, drawn) for model in (whole, half))

    assert half.files[1].stat().st_size < 0.52 * whole.files[1].stat().st_size
    assert not {file.name for file in whole.files} & {file.name for file in half.files}
    assert 0 < abs(given - expected).max() < 0.05 * abs(expected).max()


class Wrapped(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class OfABatch(Wrapped):
    """Makes a batch of each picture and its negative."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.network(torch.cat([images, -images]))
        return logits[:1] + logits[1:]


class Unknown(Wrapped):
    """Gives what ncnn has no layer for."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.special.i0(self.network(images))


@pytest.mark.parametrize(
    ("wrap", "why"),
    [
        (Mirrored, "has no batches"),
        (lambda network: WithFeatures(Mirrored(network)), "has no batches"),
        (OfABatch, "does not run what pnnx made of it"),
        (Unknown, "has no aten::i0"),
    ],
)
def test_ncnn_refuses_what_it_cannot_express(
    network: nn.Module, tmp_path: Path, wrap: Callable[[nn.Module], nn.Module], why: str
) -> None:
    with pytest.raises(BackendError, match=f"ncnn {why}"):
        export("ncnn", wrap(network), tmp_path / "m")


def test_ncnn_that_answers_otherwise_than_pytorch_is_refused(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def otherwise(self: NcnnBackend, batch: Pixels) -> NDArray[np.float32]:
        return np.zeros((len(batch), 3), np.float32)

    monkeypatch.setattr(NcnnBackend, "infer", otherwise)
    with pytest.raises(BackendError, match="its logits are off by"):
        export("ncnn", network, tmp_path / "m")
