"""The last layer of a network: where it is, and what it knows of species before it learns."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..runtime.errors import CheckpointError
from ..runtime.labels import Label, names_of


def classifier_names(network: nn.Module) -> tuple[str, ...]:
    """Names of the last linear layers, as timm's ``default_cfg`` gives them: mostly of one."""
    names = getattr(network, "default_cfg", {}).get("classifier", "classifier")
    return (names,) if isinstance(names, str) else tuple(names)


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

    A folder's name counts where it is all that one of the two sides has: other data may number its
    folders alike.

    Args:
        known: what the classifier's rows stand for.
        wanted: the species to find.

    Returns:
        For each wanted one its row, or None.
    """
    rows: dict[str, int] = {}
    folders: dict[str, int] = {}
    for row, label in enumerate(known):
        for name in names_of(label):
            rows.setdefault(name, row)
        folders.setdefault(_folder(label), row)

    def row_of(place: int, label: Label) -> int | None:
        names = names_of(label)
        # Of two rows of one name, as subspecies may have, the one at the same place.
        if place < len(known) and set(names) & set(names_of(known[place])):
            return place
        row = next((rows[name] for name in names if name in rows), None)
        if row is None and label.dataset_class is not None:
            row = folders.get(_folder(label))
            if row is not None and not (_is_folder(label) or _is_folder(known[row])):
                return None
        return row

    return [row_of(place, label) for place, label in enumerate(wanted)]


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


def _folder(label: Label) -> str:
    """What the photos' folder says, or else the species' only name."""
    return (label.dataset_class or label.scientific_name).replace("_", " ").lower()


def _is_folder(label: Label) -> bool:
    """Whether the folder's name is all that is known of a species."""
    return not label.common_name and _folder(label) == label.scientific_name.lower()
