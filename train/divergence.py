"""Training that has come to nothing ends at once, and not as if it had come to something."""

from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from ..runtime.errors import TrainingError
from .checkpoint import not_finite

_IN_A_ROW = 20
"""So many losses that are no number: float16 overflows now and then, and its step is left out."""


class EndsWhenDiverged(Callback):
    """Ends a run whose weights have become NaN or infinite, or whose loss stays so.

    The weights are looked at where the loss is not finite, and before each epoch is judged and
    written: after the last step of all there is no loss to tell.
    """

    def __init__(self) -> None:
        self._lost = 0

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Look at what the batch came to.

        Raises:
            TrainingError: nothing can be learned any more.
        """
        assert isinstance(outputs, Mapping)
        finite = bool(outputs["loss"].isfinite())
        self._lost = 0 if finite else self._lost + 1
        if finite and not trainer.is_last_batch:
            return
        if self._lost >= _IN_A_ROW or not_finite(pl_module.state_dict()):
            raise TrainingError(
                f"training diverged in epoch {trainer.current_epoch}: its loss or its weights are "
                "NaN or infinite; lower optimizer.lr, or let it rise for longer with "
                "optimizer.warmup_epochs"
            )
