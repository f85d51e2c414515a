"""ONNX Runtime's quick start."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contenders import Contender
from .bare import BareModel


class BareOnnx:
    """``session.run``, with the session's defaults but for the threads."""

    def __init__(self, model: BareModel, threads: int) -> None:
        self._model = model
        self._threads = threads
        self._session = _session(model.file, threads)
        self._name = self._session.get_inputs()[0].name
        self._values: NDArray[Any] | None = None

    @classmethod
    def load(cls, contender: Contender) -> "BareOnnx":
        """Load an ``.onnx`` file; see `Runner.load`."""
        return cls(BareModel(contender), contender.threads)

    def prepare(self, pictures: NDArray[np.uint8]) -> None:
        """See `Runner.prepare`."""
        self._values = self._model.input_of(pictures)

    def infer(self) -> object:
        """See `Runner.infer`."""
        return self._session.run(None, {self._name: self._values})

    def classify(self, photo: bytes) -> object:
        """See `Runner.classify`."""
        logits = self._session.run(None, {self._name: self._model.decode(photo)})[0][0]
        return int(logits.argmax())

    def own_milliseconds(self, count: int) -> Sequence[float]:
        """Of ONNX Runtime's profiler, the events that span a whole run; see `Runner`."""
        with tempfile.TemporaryDirectory() as folder:
            session = _session(self._model.file, self._threads, str(Path(folder) / "profile"))
            for _ in range(count):
                session.run(None, {self._name: self._values})
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        return [event["dur"] / 1000 for event in events if event.get("name") == "model_run"]


def _session(file: Path, threads: int, profile: str | None = None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
