"""A checkpoint at half its size: weights as float16, to keep or to send.

python -m birdedge.train.half CHECKPOINT OUT
"""

from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn

from ..runtime.errors import CheckpointError
from .checkpoint import load_checkpoint, save_checkpoint
from .model import network_of
from .reporting import one_line_errors


def halve(checkpoint: Path, out: Path) -> None:
    """Write a checkpoint's weights as float16; reading it gives float32 again.

    Raises:
        CheckpointError: the checkpoint is damaged, a weight is too large for float16, or the file
            cannot be written.
    """
    info, weights = load_checkpoint(checkpoint)
    network: nn.Module = network_of(info, weights)
    # Steps that batch norms have counted are no weights, and stay as they are.
    floats = (tensor for tensor in network.state_dict().values() if tensor.is_floating_point())
    largest = max(float(tensor.abs().max()) for tensor in floats)
    if largest > torch.finfo(torch.float16).max:
        raise CheckpointError(f"{checkpoint} has weights up to {largest:.3g}, beyond float16")
    save_checkpoint(out, network.half(), info)


def _main(
    checkpoint: Annotated[Path, typer.Argument(exists=True)], out: Annotated[Path, typer.Argument()]
) -> None:
    """Write a checkpoint's weights as float16."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with one_line_errors():
        halve(checkpoint, out)


if __name__ == "__main__":
    typer.run(_main)
