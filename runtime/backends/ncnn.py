"""ncnn, Tencent's engine for phones and boards."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError
from ..extras import needs_extra
from ..manifest import Target
from . import Pixels, as_laid_out, channels_last, needs_features
from .chatter import without_chatter

INPUT, LOGITS, MAPS = "in0", "out0", "out1"
"""Names that the converter, pnnx, gives to a network's input and outputs."""


class NcnnBackend:
    """A model in ncnn, on the processor."""

    def __init__(self, net: Any, target: Target) -> None:
        self._net = net
        self._target = target
        self._shape = _input_shape(net)

    @classmethod
    def load(cls, files: tuple[Path, ...], target: Target, threads: int) -> "NcnnBackend":
        """Load a ``.param`` file and its ``.bin`` file; see `Backend.load`."""
        return cls(open_net(files, threads), target)

    def infer(self, batch: Pixels) -> NDArray[np.float32]:
        """Run the network, picture by picture, for ncnn knows no batches; see `Backend.infer`."""
        return np.stack([self._run(picture, LOGITS)[0] for picture in self._laid_out(batch)])

    def infer_with_features(self, batch: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network; see `Backend.infer_with_features`."""
        needs_features(self._target)
        given = [self._run(picture, LOGITS, MAPS) for picture in self._laid_out(batch)]
        logits, maps = (np.stack(each) for each in zip(*given, strict=True))
        return logits, channels_last(maps, self._target)

    def _laid_out(self, batch: Pixels) -> Pixels:
        values = as_laid_out(batch, self._target)
        # A convolution takes any size, and the answer to another one would be wrong.
        if self._shape is not None and values.shape[1:] != self._shape:
            raise BackendError(f"ncnn takes {list(self._shape)}, not {list(values.shape[1:])}")
        return values

    def _run(self, picture: Pixels, *outputs: str) -> list[NDArray[np.float32]]:
        import ncnn

        extractor = self._net.create_extractor()
        extractor.input(INPUT, ncnn.Mat(picture))
        given = []
        for output in outputs:
            status, values = extractor.extract(output)
            # NumPy would follow an empty matrix's null pointer.
            if status != 0 or values.empty():
                raise BackendError(f"ncnn failed: it gives no {output} (status {status})")
            given.append(np.array(values, np.float32))
        return given

    def close(self) -> None:
        """Free the network."""
        del self._net


def open_net(files: tuple[Path, ...], threads: int) -> Any:
    """An `ncnn.Net` that computes in float32; see `Backend.load` for what it raises."""
    with needs_extra("ncnn"):
        import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    # Some processors would compute in float16, and give other logits than the golden ones that
    # another machine made.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if len(files) != 2:
        raise BackendError(f"ncnn cannot load {files[0]}: it takes a .param and a .bin file")
    graph, weights = (str(file) for file in files)
    with without_chatter():
        loaded = net.load_param(graph) == 0 and net.load_model(weights) == 0
    if not loaded:
        raise BackendError(f"ncnn cannot load {files[0]}: it or {files[1].name} is damaged")
    return net


def _input_shape(net: Any) -> tuple[int, ...] | None:
    """Channels, height and width that the graph says its input has; many graphs say nothing."""
    shape = next((blob.shape for blob in net.blobs() if blob.name == INPUT), None)
    if shape is None or shape.dims != 3:
        return None
    return shape.c, shape.h, shape.w
