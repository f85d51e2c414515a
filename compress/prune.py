"""Structured pruning: whole channels go, so that what is left is a smaller network of plain layers.

Torch-Pruning finds which channels hang together and takes them out of every layer at once. Fang et
al., "DepGraph: Towards Any Structural Pruning", CVPR 2023 (arXiv:2301.12900).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..runtime.errors import BirdedgeError, CheckpointError
from ..train.classifier import classifier_of
from .cost import MacCounter, count_macs
from .quiet import quiet
from .targets import Importance, Scope

LabelledBatches = Callable[[], Iterable[tuple[Tensor, Tensor]]]

_FINENESS = 200
"""Steps from the whole network to none of it; each takes half a percent of the channels."""

_MOST = 0.9
"""No layer loses more than this share of its channels, or a global ranking would empty some."""


class UnreachableGoalError(CheckpointError):
    """A network cannot be made as small as was asked for.

    Attributes:
        least: share of the multiply-adds that pruning leaves at least.
    """

    def __init__(self, message: str, least: float) -> None:
        super().__init__(message)
        self.least = least


@dataclass(frozen=True)
class Pruning:
    """Which channels go, and how many.

    Attributes:
        macs: share of the multiply-adds that may stay, above 0 and up to 1.
        importance: ``magnitude``, the norm of a channel's weights; ``taylor``, how much the loss
            would change without it, to first order (Molchanov et al., CVPR 2019), which needs
            photos; ``lamp``, magnitude made comparable between layers (Lee et al., ICLR 2021,
            arXiv:2010.07611).
        scope: ``local`` takes the same share of every layer, ``global`` the least important
            channels wherever they are.
        steps: how often the gradients that ``taylor`` looks at are measured anew on the way.
        round_to: channels are kept in multiples of it, as vector instructions want them.
    """

    macs: float = 1.0
    importance: Importance = "magnitude"
    scope: Scope = "local"
    steps: int = 4
    round_to: int = 8


def prune(
    network: nn.Module,
    input_size: tuple[int, int],
    pruning: Pruning,
    labelled: LabelledBatches = lambda: (),
) -> None:
    """Take the least important channels out of a network until its multiply-adds fit.

    The classifier keeps all its classes. Accuracy is lost and wants to be recovered by training.

    Args:
        network: a timm CNN; changed in place. After an error it may be half pruned.
        input_size: height and width in pixels at which multiply-adds are counted.
        pruning: which channels go, and how many.
        labelled: normalised images, float ``[N, 3, H, W]``, and class numbers ``[N]``; for
            ``taylor`` alone, gone through once a step.

    Raises:
        CheckpointError: the network has a structure that cannot be pruned.
        UnreachableGoalError: it cannot be made so small.
    """
    try:
        with quiet():
            pruner = _pruner(network, input_size, pruning)
        whole = count_macs(network, input_size)
        shares = [pruning.macs ** (step / pruning.steps) for step in range(1, pruning.steps + 1)]
        goals = [round(whole * share) for share in shares]
        macs = whole
        for goal in goals:
            if pruning.importance == "taylor":
                _measure_gradients(network, labelled())
            macs = _prune_to(goal, pruner, network, input_size)
        network.zero_grad(set_to_none=True)
    except (BirdedgeError, ImportError):
        raise
    # Torch-Pruning lets through whatever the network's own code raises at a shape it cannot have.
    except Exception as error:
        raise CheckpointError(
            f"this network cannot be pruned: {error}; networks of convolutions can"
        ) from error
    if macs > goals[-1]:
        raise UnreachableGoalError(
            f"this network cannot be pruned to {pruning.macs:.0%} of its multiply-adds; with "
            f"channels in multiples of {pruning.round_to} {macs / whole:.0%} is the least",
            macs / whole,
        )


def _pruner(network: nn.Module, input_size: tuple[int, int], pruning: Pruning) -> Any:
    import torch_pruning as tp

    importances = {
        "magnitude": tp.importance.GroupMagnitudeImportance,
        "taylor": tp.importance.GroupTaylorImportance,
        "lamp": tp.importance.LAMPImportance,
    }
    return tp.pruner.BasePruner(
        network,
        torch.zeros(1, 3, *input_size),
        importance=importances[pruning.importance](),
        global_pruning=pruning.scope == "global",
        pruning_ratio=1.0,
        max_pruning_ratio=_MOST,
        iterative_steps=_FINENESS,
        round_to=pruning.round_to,
        ignored_layers=[classifier_of(network)],
        # Its own defaults are dictionaries that all pruners of a process share and fill.
        in_channel_groups={},
        out_channel_groups={},
    )


def _prune_to(goal: int, pruner: Any, network: nn.Module, input_size: tuple[int, int]) -> int:
    """Prune step by step until multiply-adds fit or the steps are used up; returns how many."""
    counter = MacCounter(network, input_size)
    while counter.count() > goal and pruner.current_step < _FINENESS:
        with quiet():
            pruner.step()
    # Runs what is left: a structure that Torch-Pruning did not understand ends here.
    return count_macs(network, input_size)


def _measure_gradients(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Leave in every parameter the gradient of the summed loss; batch norms as in use."""
    network.zero_grad(set_to_none=True)
    network.eval()
    seen = False
    for images, labels in batches:
        loss = F.cross_entropy(network(images), labels, reduction="sum")
        loss.backward()  # type: ignore[no-untyped-call]
        seen = True
    if not seen:
        raise CheckpointError("the Taylor importance is measured on photos, and there are none")
