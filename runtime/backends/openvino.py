"""OpenVINO."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError
from ..extras import needs_extra
from ..manifest import Target
from . import Pixels, as_laid_out, channels_last, needs_features
from .amx import without_amx


class OpenVinoBackend:
    """A model compiled by OpenVINO's CPU plugin.

    For one picture, all that a camera asks for, it is compiled with that very shape, which takes 5
    to 9 % off a small network's time. What takes longer stays out of it until it is asked for:
    batches, and the second output, the feature maps, which costs up to 6 % in INT8.
    """

    def __init__(self, model: Any, target: Target, threads: int) -> None:
        self._model = model
        self._target = target
        self._threads = threads
        self._shape = model.input(0).partial_shape
        self._logits_alone = model.clone()
        if target.features:
            self._logits_alone.remove_result(self._logits_alone.get_results()[1])
        self._compiled: dict[tuple[bool, bool], Any] = {}
        self._request(one=True, features=False)

    @classmethod
    def load(cls, files: tuple[Path, ...], target: Target, threads: int) -> "OpenVinoBackend":
        """Load an OpenVINO ``.xml`` (its ``.bin`` beside it) or an ``.onnx`` file."""
        with needs_extra("openvino"):
            core = _core()
        try:
            return cls(core.read_model(str(files[0])), target, threads)
        except Exception as error:
            raise BackendError(f"OpenVINO cannot load {files[0]}: {error}") from error

    def infer(self, batch: Pixels) -> NDArray[np.float32]:
        """Run the network; see `Backend.infer`."""
        request = self._request(one=len(batch) == 1, features=False)
        logits: NDArray[np.float32] = self._run(request, batch)[0].astype(np.float32)
        return logits

    def infer_with_features(self, batch: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network; see `Backend.infer_with_features`."""
        needs_features(self._target)
        outputs = self._run(self._request(one=len(batch) == 1, features=True), batch)
        maps = channels_last(outputs[1].astype(np.float32), self._target)
        return outputs[0].astype(np.float32), maps

    def _request(self, *, one: bool, features: bool) -> Any:
        """What answers one picture or any number, with their feature maps or without."""
        if (one, features) not in self._compiled:
            model = self._model if features else self._logits_alone
            model = _for_one_picture(model) if one else model
            self._compiled[one, features] = _compile(model, self._threads)
        return self._compiled[one, features]

    def _run(self, request: Any, batch: Pixels) -> Any:
        values = as_laid_out(batch, self._target)
        # A batch of another size would come back empty, or as the answer before it.
        if not self._shape.compatible(type(self._shape)(list(values.shape))):
            raise BackendError(f"OpenVINO takes {self._shape}, not {list(values.shape)}")
        try:
            return request.infer({0: values}, share_inputs=True)
        except Exception as error:
            raise BackendError(f"OpenVINO failed: {error}") from error

    def close(self) -> None:
        """Free the compiled model."""
        del self._compiled, self._logits_alone, self._model


def _for_one_picture(model: Any) -> Any:
    """A model that takes any number of pictures, for one; another as it is."""
    shape = model.input(0).partial_shape
    if shape.rank.is_dynamic or shape[0].is_static:
        return model
    single = model.clone()
    shape[0] = 1
    single.reshape(shape)
    return single


def _compile(model: Any, threads: int) -> Any:
    """What answers pictures by a model, which stays as it is."""
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        # Some processors would compute in bfloat16, and give other logits than the golden ones that
        # another machine made.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return _core().compile_model(model, "CPU", settings).create_infer_request()


@cache
def _core() -> Any:
    """OpenVINO's plugins, loaded once and kept.

    The CPU plugin gives the thread that loads it a stack for signal handlers, frees that stack
    when it is unloaded, and puts back the one it found, which another plugin may have freed
    since. The next signal then kills the process. A plugin that stays frees nothing.
    """
    without_amx()
    import openvino

    return openvino.Core()
