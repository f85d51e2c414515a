"""The network itself in PyTorch, as it was trained."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ...runtime.preprocess import Preprocess
from ...train.checkpoint import load_checkpoint
from ...train.model import network_of
from ..contenders import Contender


class TorchEager:
    """A checkpoint's network, in evaluation mode."""

    def __init__(self, network: Any, preprocess: Preprocess) -> None:
        self._network = network
        self._preprocess = preprocess
        self._images: torch.Tensor | None = None

    @classmethod
    def load(cls, contender: Contender) -> "TorchEager":
        """Load a checkpoint; see `Runner.load`."""
        assert contender.checkpoint is not None
        torch.set_num_threads(contender.threads)
        info, weights = load_checkpoint(contender.checkpoint)
        return cls(network_of(info, weights).eval(), info.preprocess)

    def prepare(self, pictures: NDArray[np.uint8]) -> None:
        """See `Runner.prepare`."""
        values = torch.from_numpy(self._preprocess.normalise(pictures))
        self._images = values.permute(0, 3, 1, 2).contiguous()

    @torch.inference_mode()
    def infer(self) -> object:
        """See `Runner.infer`."""
        return self._network(self._images)

    @torch.inference_mode()
    def classify(self, photo: bytes) -> object:
        """See `Runner.classify`."""
        image = Image.open(io.BytesIO(photo)).convert("RGB")
        values = torch.from_numpy(self._preprocess.normalise(self._preprocess.fit(image)[None]))
        return int(self._network(values.permute(0, 3, 1, 2).contiguous()).argmax())

    def answer(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Answering.answer`."""
        self.prepare(pictures)
        logits: Any = self.infer()
        return np.asarray(logits.float().numpy(), np.float32)

    def own_milliseconds(self, count: int) -> Sequence[float]:
        """PyTorch has no clock of its own for this; see `Runner.own_milliseconds`."""
        return ()


class TorchCompiled(TorchEager):
    """The same through ``torch.compile``, which compiles at the first inference."""

    @classmethod
    def load(cls, contender: Contender) -> "TorchCompiled":
        """Load a checkpoint; see `Runner.load`."""
        eager = super().load(contender)
        eager._network = torch.compile(eager._network)
        return cls(eager._network, eager._preprocess)
