"""LiteRT's quick start."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contenders import Contender
from .bare import BareModel


class BareTflite:
    """``set_tensor``, ``invoke``, ``get_tensor``; the input is quantised beforehand."""

    def __init__(self, model: BareModel, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._model = model
        self._interpreter = Interpreter(model_path=str(model.file), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self._values: list[NDArray[Any]] = []

    @classmethod
    def load(cls, contender: Contender) -> "BareTflite":
        """Load a ``.tflite`` file; see `Runner.load`."""
        return cls(BareModel(contender), contender.threads)

    def prepare(self, pictures: NDArray[np.uint8]) -> None:
        """See `Runner.prepare`; these files take one picture at a time."""
        self._values = [self._quantised(picture[None]) for picture in pictures]

    def infer(self) -> object:
        """See `Runner.infer`."""
        given = []
        for values in self._values:
            self._interpreter.set_tensor(self._input["index"], values)
            self._interpreter.invoke()
            given.append(self._interpreter.get_tensor(self._output["index"]))
        return given

    def classify(self, photo: bytes) -> object:
        """See `Runner.classify`."""
        values = self._model.decode(photo)
        self._interpreter.set_tensor(self._input["index"], self._as_integers(values))
        self._interpreter.invoke()
        return int(self._interpreter.get_tensor(self._output["index"])[0].argmax())

    def own_milliseconds(self, count: int) -> Sequence[float]:
        """The interpreter tells nothing; see `Runner.own_milliseconds`."""
        return ()

    def _quantised(self, pictures: NDArray[np.uint8]) -> NDArray[Any]:
        return self._as_integers(self._model.input_of(pictures))

    def _as_integers(self, values: NDArray[Any]) -> NDArray[Any]:
        scale, zero_point = self._input["quantization"]
        if values.dtype == self._input["dtype"] or scale == 0:
            return values
        limits = np.iinfo(self._input["dtype"])
        steps = np.rint(values / scale) + zero_point
        integers: NDArray[Any] = np.clip(steps, limits.min, limits.max)
        return integers.astype(self._input["dtype"])
