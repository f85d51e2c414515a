"""OpenVINO's quick start."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.backends.amx import without_amx
from ..contenders import Contender
from .bare import BareModel


class BareOpenVino:
    """``compile_model`` for latency, and one inference request."""

    def __init__(self, model: BareModel, threads: int) -> None:
        # What is compared is birdedge's way, not the processor's dearest or cheapest precision.
        without_amx()
        import openvino

        self._model = model
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        core = openvino.Core()
        self._compiled = core.compile_model(core.read_model(model.file), "CPU", hints)
        self._request = self._compiled.create_infer_request()
        self._values: NDArray[Any] | None = None

    @classmethod
    def load(cls, contender: Contender) -> "BareOpenVino":
        """Load an ``.xml`` file; see `Runner.load`."""
        return cls(BareModel(contender), contender.threads)

    def prepare(self, pictures: NDArray[np.uint8]) -> None:
        """See `Runner.prepare`."""
        self._values = self._model.input_of(pictures)

    def infer(self) -> object:
        """See `Runner.infer`."""
        return self._run(self._values)

    def classify(self, photo: bytes) -> object:
        """See `Runner.classify`."""
        logits = self._run(self._model.decode(photo))[0]
        return int(np.asarray(logits)[0].argmax())

    def _run(self, values: NDArray[Any] | None) -> Any:
        """As a compiled model's own call does it: without a copy of the input."""
        return self._request.infer({0: values}, share_inputs=True)

    def own_milliseconds(self, count: int) -> Sequence[float]:
        """The request's own clock; see `Runner.own_milliseconds`."""
        taken = []
        for _ in range(count):
            self.infer()
            taken.append(float(self._request.latency))
        return taken
