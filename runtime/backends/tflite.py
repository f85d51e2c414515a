"""LiteRT, TensorFlow Lite's successor; `tflite_runtime` serves where it is all there is."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError
from ..extras import needs_extra
from ..manifest import Target
from . import Pixels, as_laid_out, channels_last, needs_features
from .chatter import without_chatter


class TfliteBackend:
    """A model in LiteRT's interpreter, through XNNPACK."""

    def __init__(self, interpreter: Any, target: Target) -> None:
        self._interpreter = interpreter
        self._target = target
        self._input = interpreter.get_input_details()[0]
        # Converters keep no order among outputs; a feature map is the one with height and width.
        outputs = interpreter.get_output_details()
        self._maps = next((output for output in outputs if len(output["shape"]) == 4), None)
        self._logits = next((output for output in outputs if output is not self._maps), self._maps)

    @classmethod
    def load(cls, files: tuple[Path, ...], target: Target, threads: int) -> "TfliteBackend":
        """Load a ``.tflite`` file; see `Backend.load`."""
        return cls(open_interpreter(files[0], threads), target)

    def infer(self, batch: Pixels) -> NDArray[np.float32]:
        """Run the network, picture by picture; see `Backend.infer`.

        Most exported graphs have a fixed batch of one, and resizing an interpreter costs more than
        a batch gains on a small CPU.
        """
        return np.concatenate([self._run(one, self._logits)[0] for one in _one_by_one(batch)])

    def infer_with_features(self, batch: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network; see `Backend.infer_with_features`."""
        needs_features(self._target)
        given = [self._run(one, self._logits, self._maps) for one in _one_by_one(batch)]
        logits, maps = (np.concatenate(each) for each in zip(*given, strict=True))
        return logits, channels_last(maps, self._target)

    def _run(self, picture: Pixels, *outputs: Any) -> list[NDArray[np.float32]]:
        try:
            values = as_laid_out(picture, self._target)
            self._interpreter.set_tensor(self._input["index"], _quantised(values, self._input))
            self._interpreter.invoke()
            return [
                _dequantised(self._interpreter.get_tensor(output["index"]), output)
                for output in outputs
            ]
        except (ValueError, RuntimeError) as error:
            raise BackendError(f"LiteRT failed: {error}") from error

    def close(self) -> None:
        """Free the interpreter."""
        del self._interpreter


def _one_by_one(batch: Pixels) -> list[Pixels]:
    return np.split(batch, len(batch))


def open_interpreter(model: Path, threads: int) -> Any:
    """An interpreter with its tensors allocated; see `Backend.load` for what it raises."""
    try:
        with without_chatter():
            interpreter = _interpreter_class()(model_path=str(model), num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        raise BackendError(f"LiteRT cannot load {model}: {error}") from error
    return interpreter


def _interpreter_class() -> Any:
    with needs_extra("tflite"):
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError as missing:
            try:
                from tflite_runtime.interpreter import Interpreter
            except ModuleNotFoundError:
                # The one that the extra installs is the one to be named.
                raise missing from None
    return Interpreter


def _quantised(values: Pixels, tensor: dict[str, Any]) -> NDArray[Any]:
    """Real values to a tensor's own type: ``q = round(x / scale) + zero_point``."""
    wanted = tensor["dtype"]
    scale, zero_point = tensor["quantization"]
    if values.dtype == wanted or scale == 0:
        return values.astype(wanted, copy=False)
    limits = np.iinfo(wanted)
    # Each step in the same memory: a picture is larger than the processor's nearest cache.
    steps = values / np.float32(scale)
    np.rint(steps, out=steps)
    steps += np.float32(zero_point)
    np.clip(steps, limits.min, limits.max, out=steps)
    quantised: NDArray[Any] = steps.astype(wanted)
    return quantised


def _dequantised(values: NDArray[Any], tensor: dict[str, Any]) -> NDArray[np.float32]:
    """A tensor's own type to real values: ``x = (q - zero_point) * scale``."""
    scale, zero_point = tensor["quantization"]
    if scale == 0:
        return values.astype(np.float32)
    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
