"""ncnn's quick start."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contenders import Contender
from .bare import BareModel


class BareNcnn:
    """An extractor for each picture, with the network's defaults but for the threads."""

    def __init__(self, model: BareModel, threads: int) -> None:
        import ncnn

        self._model = model
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        self._net.load_param(str(model.file))
        self._net.load_model(str(model.file.with_suffix(".bin")))
        self._values: list[NDArray[Any]] = []

    @classmethod
    def load(cls, contender: Contender) -> "BareNcnn":
        """Load a ``.param`` file and its ``.bin`` file; see `Runner.load`."""
        return cls(BareModel(contender), contender.threads)

    def prepare(self, pictures: NDArray[np.uint8]) -> None:
        """See `Runner.prepare`; ncnn takes one picture at a time."""
        self._values = list(self._model.input_of(pictures))

    def infer(self) -> object:
        """See `Runner.infer`."""
        return [self._run(values)[None] for values in self._values]

    def classify(self, photo: bytes) -> object:
        """See `Runner.classify`."""
        return int(self._run(self._model.decode(photo)[0]).argmax())

    def own_milliseconds(self, count: int) -> Sequence[float]:
        """Its clock is compiled in on request only; see `Runner.own_milliseconds`."""
        return ()

    def _run(self, values: NDArray[Any]) -> NDArray[Any]:
        import ncnn

        extractor = self._net.create_extractor()
        extractor.input("in0", ncnn.Mat(values))
        _, logits = extractor.extract("out0")
        return np.array(logits)
