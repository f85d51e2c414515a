"""ONNX Runtime."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError
from ..machine import processor_features
from ..manifest import Target
from . import Pixels, as_laid_out, channels_last, needs_features

EXACT_SUMS = "session.x64quantprecision"


class OnnxBackend:
    """A model in ONNX Runtime's CPU provider."""

    def __init__(self, session: Any, target: Target) -> None:
        self._session = session
        self._target = target
        self._input = session.get_inputs()[0].name
        self._outputs = [output.name for output in session.get_outputs()]
        # Many foreign models were exported for a batch of exactly one.
        self._one_by_one = session.get_inputs()[0].shape[0] == 1

    @classmethod
    def load(cls, files: tuple[Path, ...], target: Target, threads: int) -> "OnnxBackend":
        """Load an ``.onnx`` file; see `Backend.load`."""
        return cls(open_session(files[0], threads), target)

    def infer(self, batch: Pixels) -> NDArray[np.float32]:
        """Run the network; see `Backend.infer`."""
        (logits,) = self._run(batch, self._outputs[:1])
        return logits

    def infer_with_features(self, batch: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Run the network; see `Backend.infer_with_features`."""
        needs_features(self._target)
        logits, maps = self._run(batch, self._outputs[:2])
        return logits, channels_last(maps, self._target)

    def _run(self, batch: Pixels, outputs: list[str]) -> list[NDArray[np.float32]]:
        values = as_laid_out(batch, self._target)
        parts = np.split(values, len(values)) if self._one_by_one else [values]
        try:
            given = [self._session.run(outputs, {self._input: part}) for part in parts]
        except Exception as error:
            raise BackendError(f"ONNX Runtime failed: {error}") from error
        return (
            given[0]
            if len(given) == 1
            else [np.concatenate(each) for each in zip(*given, strict=True)]
        )

    def close(self) -> None:
        """Free the session."""
        del self._session


def _sums_exactly(features: set[str]) -> bool:
    """Whether ONNX Runtime's usual 8-bit dot products do not saturate on an x86 processor.

    Those of VNNI do not. Where there is AVX-512 without its own, ONNX Runtime takes AVX-512 and
    leaves AVX-VNNI aside (platform.cpp of its MLAS).
    """
    return "avx512_vnni" in features or ("avx_vnni" in features and "avx512bw" not in features)


def open_session(model: Path, threads: int) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU; see `Backend.load` for what it raises."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Errors come as exceptions; warnings about the machine would only clutter the terminal.
    options.log_severity_level = 3
    # Workers that spin between two pictures keep a Pi hot and take the core that decodes the next
    # one; within a picture they are twice as fast as workers that sleep.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if not _sums_exactly(processor_features()):
        # On older x86 processors dot products saturate where INT8 weights are large, and birds go
        # unknown: take slower ones that are exact. Newer ones would take them, too, and up to three
        # times as long for the same sums; others than x86 know no such choice.
        options.add_session_config_entry(EXACT_SUMS, "1")
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    # ONNX Runtime has an exception class for each kind of failure, and no common base.
    except Exception as error:
        raise BackendError(f"ONNX Runtime cannot load {model}: {error}") from error
