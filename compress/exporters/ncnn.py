"""ncnn's graph and weights, by way of TorchScript and pnnx."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...runtime.backends.ncnn import INPUT, NcnnBackend
from ...runtime.bundle import describe_file
from ...runtime.errors import BackendError
from ...runtime.extras import needs_extra
from ...runtime.manifest import Target
from ..mirror import Mirrored
from ..quiet import quiet
from . import Exported

_CLOSE = 0.05
"""Share of the largest logit. float16 weights move a logit by a fifth of that, a wrong graph by all
of it."""


class NcnnExporter:
    """A ``.param`` graph and a ``.bin`` of float32 weights, for one picture at a time.

    ncnn has no batches, so a network that makes one of its own, as `Mirrored` does, is refused.
    """

    weights = "fp32"

    def export(self, network: nn.Module, input_size: tuple[int, int], folder: Path) -> Exported:
        """Write ``model_fp32.ncnn.param`` and ``model_fp32.ncnn.bin``; see `Exporter.export`."""
        with needs_extra("compress"):
            import ncnn  # noqa: F401 - what is written is tried
            import pnnx  # noqa: F401
        if any(isinstance(module, Mirrored) for module in network.modules()):
            raise BackendError("ncnn has no batches, and mirroring makes one of two pictures")
        # OpenVINO's weights are in a .bin file, too.
        graph = folder / f"model_{self.weights}.ncnn.param"
        files = (graph, graph.with_suffix(".bin"))
        example = torch.randn(1, 3, *input_size, generator=torch.Generator().manual_seed(0))
        try:
            with quiet(), torch.no_grad():
                given = network(example)
                traced = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
            _convert(traced, files, input_size, half=self.weights == "fp16")
            _refuse_unknown_layers(graph)
            _write_input_shape(graph, input_size)
            logits = given[0] if isinstance(given, tuple) else given
            _compare(files, example.permute(0, 2, 3, 1).numpy(), logits.numpy())
        # TorchScript lets the network's own errors through.
        except Exception as error:
            raise BackendError(f"cannot export this network to ncnn: {error}") from error
        return Exported("ncnn", files, "NCHW")


class NcnnHalfExporter(NcnnExporter):
    """The same with weights in float16: half the size; they are computed with in float32."""

    weights = "fp16"


def _convert(
    traced: torch.jit.ScriptModule, files: tuple[Path, ...], input_size: tuple[int, int], half: bool
) -> None:
    """Run pnnx, in a folder of its own: it writes five more files beside what it reads."""
    import pnnx

    graph, weights = (file.absolute() for file in files)
    height, width = input_size
    with tempfile.TemporaryDirectory() as aside:
        # Its own way to a file ends the process where the disk is full.
        (Path(aside) / "network.pt").write_bytes(traced.save_to_buffer())
        done = subprocess.run(
            [
                pnnx.EXEC_PATH, "network.pt", f"inputshape=[1,3,{height},{width}]",
                f"fp16={half:d}", f"ncnnparam={graph}", f"ncnnbin={weights}",
            ],
            cwd=aside, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
    if done.returncode != 0 or not graph.is_file():
        last = done.stderr.strip().rpartition("\n")[2]
        raise BackendError(f"pnnx ends with {done.returncode}: {last}")


def _refuse_unknown_layers(graph: Path) -> None:
    """What ncnn has no layer for, pnnx writes down under PyTorch's name, and is content."""
    import ncnn

    layers = graph.read_text(encoding="utf-8").splitlines()[2:]
    types = {layer.split()[0] for layer in layers}
    unknown = sorted(type_ for type_ in types if ncnn.layer_to_index(type_) < 0)
    if unknown:
        raise BackendError(f"ncnn has no {', '.join(unknown)}")


def _write_input_shape(graph: Path, input_size: tuple[int, int]) -> None:
    """Note the input's size in the graph, so that pictures of another one can be refused.

    Parameter 30 of any layer is the shape of what it gives: dimensions, width, height, channels.
    https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
    """
    height, width = input_size
    lines = graph.read_text(encoding="utf-8").splitlines()
    noted = [
        f"{line} -23330=4,3,{width},{height},3" if line.split()[:2] == ["Input", INPUT] else line
        for line in lines
    ]
    graph.write_text("\n".join(noted) + "\n", encoding="utf-8")


def _compare(
    files: tuple[Path, ...], picture: NDArray[np.float32], expected: NDArray[np.float32]
) -> None:
    """See that ncnn answers as PyTorch does: pnnx drops batches and says so only in passing."""
    described = tuple(describe_file(file) for file in files)
    target = Target(engine="ncnn", files=described, golden_tolerance=1)
    try:
        backend = NcnnBackend.load(files, target, threads=1)
        logits = backend.infer(picture)
    except BackendError as error:
        raise BackendError("ncnn does not run what pnnx made of it") from error
    backend.close()
    if logits.shape != expected.shape:
        raise BackendError(f"it gives {logits.shape[1:]} logits there, not {expected.shape[1:]}")
    difference = float(np.abs(logits - expected).max())
    if not difference <= _CLOSE * float(np.abs(expected).max()):
        raise BackendError(f"its logits are off by {difference:.3g} there")
