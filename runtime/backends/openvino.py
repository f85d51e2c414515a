"""OpenVINO."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError
from ..extras import needs_extra
from ..manifest import Target
from . import Pixels, as_laid_out


class OpenVinoBackend:
    """A model compiled by OpenVINO's CPU plugin."""

    def __init__(self, request: Any, target: Target) -> None:
        self._request = request
        self._target = target

    @classmethod
    def load(cls, files: tuple[Path, ...], target: Target, threads: int) -> "OpenVinoBackend":
        """Load an OpenVINO ``.xml`` (its ``.bin`` beside it) or an ``.onnx`` file."""
        with needs_extra("openvino"):
            import openvino
        try:
            compiled = openvino.Core().compile_model(
                str(files[0]),
                "CPU",
                {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"},
            )
        except Exception as error:
            raise BackendError(f"OpenVINO cannot load {files[0]}: {error}") from error
        return cls(compiled.create_infer_request(), target)

    def infer(self, batch: Pixels) -> NDArray[np.float32]:
        """Run the network; see `Backend.infer`."""
        try:
            outputs = self._request.infer({0: as_laid_out(batch, self._target)})
        except Exception as error:
            raise BackendError(f"OpenVINO failed: {error}") from error
        logits: NDArray[np.float32] = outputs[0].astype(np.float32)
        return logits

    def close(self) -> None:
        """Free the compiled model."""
        del self._request
