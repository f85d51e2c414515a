"""What a contender's process runs: birdedge's own way, and others' to compare it with."""

from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from ..contenders import BIRDEDGE, Contender

if TYPE_CHECKING:
    # A worker stamps its time before it imports anything heavy.
    import numpy as np
    from numpy.typing import NDArray

_RUNNERS = {
    BIRDEDGE: "target:TargetRunner",
    "bare onnx": "bare_onnx:BareOnnx",
    "bare openvino": "bare_openvino:BareOpenVino",
    "bare tflite": "bare_tflite:BareTflite",
    "bare ncnn": "bare_ncnn:BareNcnn",
    "torch eager": "torch:TorchEager",
    "torch.compile": "torch:TorchCompiled",
}


_ENGINE_MODULES = {
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "tflite": "ai_edge_litert.interpreter",
    "ncnn": "ncnn",
    "torch": "torch",
}


class Runner(Protocol):
    """A model that is loaded and can be timed."""

    @classmethod
    def load(cls, contender: Contender) -> "Runner":
        """Load a contender's model.

        Raises:
            BirdedgeError: it cannot be loaded, or its engine is not installed.
        """

    def prepare(self, pictures: "NDArray[np.uint8]") -> None:
        """Bring fitted pictures ``[N, h, w, 3]`` to what `infer` takes; not timed."""

    def infer(self) -> object:
        """Run the network over what was prepared: what is timed."""

    def classify(self, photo: bytes) -> object:
        """From a picture file's bytes to a name: what is timed end to end."""

    def own_milliseconds(self, count: int) -> Sequence[float]:
        """What the engine itself says that inferences took; nothing where it says nothing."""


class Answering(Runner, Protocol):
    """A runner whose answers are looked at, too."""

    def answer(self, pictures: "NDArray[np.uint8]") -> "NDArray[np.float32]":
        """Logits ``[N, classes]`` of fitted pictures ``[N, h, w, 3]``."""


def import_runner(contender: Contender) -> type[Runner]:
    """Import what runs a contender, and its engine, so that loading the model is all that is left.

    An engine that is missing, or not known here, is told of when the model is loaded.
    """
    module, _, name = _RUNNERS[contender.runner].partition(":")
    runner: type[Runner] = getattr(import_module(f".{module}", __name__), name)
    with suppress(ImportError):
        import_module(_ENGINE_MODULES.get(contender.engine, "numpy"))
    return runner
