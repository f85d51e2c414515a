"""The last layer of a network: where it is, and what it knows of species before it learns."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..runtime.errors import CheckpointError
from ..runtime.labels import Label, names_of


def classifier_name(network: nn.Module) -> str:
    """Name of the last linear layer, as timm's ``default_cfg`` gives it."""
    return str(getattr(network, "default_cfg", {}).get("classifier", "classifier"))


def classifier_of(network: nn.Module) -> nn.Linear:
    """The last layer, which gives the logits.

    Raises:
        CheckpointError: it is not a single linear layer.
    """
    classifier = network.get_classifier()  # type: ignore[operator]
    if not isinstance(classifier, nn.Linear):
        raise CheckpointError("this network does not end in a single linear layer, its classifier")
    return classifier


def species_rows(known: Sequence[Label], wanted: Sequence[Label]) -> list[int | None]:
    """Find species among those that a classifier tells apart, by any of their names.

    Args:
        known: what the classifier's rows stand for.
        wanted: the species to find.

    Returns:
        For each wanted one its row, or None.
    """
    rows: dict[str, int] = {}
    for row, label in enumerate(known):
        for name in _names(label):
            rows.setdefault(name, row)
    return [next((rows[name] for name in _names(label) if name in rows), None) for label in wanted]


def rearranged(layer: Mapping[str, Tensor], rows: Sequence[int | None]) -> dict[str, Tensor]:
    """A classifier's weights for other species than it was made for.

    A species that it does not know begins as the mean of all that it does know: neither likelier
    nor less likely than any of them, whatever the picture.

    Args:
        layer: tensors by name, a row for each class.
        rows: of each species, see `species_rows`.
    """
    return {
        name: torch.stack([mean if row is None else tensor[row] for row in rows])
        for name, tensor in layer.items()
        for mean in [tensor.mean(dim=0)]
    }


def _names(label: Label) -> list[str]:
    """What a species may be called, its folder's name included, in lower case."""
    return names_of(label) + ([label.dataset_class.lower()] if label.dataset_class else [])
