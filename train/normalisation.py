"""Pictures reach a network as those did that it learned from: the same mean, the same spread."""

from collections.abc import Mapping
from typing import Any

from ..runtime.preprocess import Preprocess


def normalised_as(
    settings: Mapping[str, Any],
    begun_with: Preprocess | None,
    hub: Mapping[str, Any] | None,
) -> Preprocess:
    """The settings, completed by the mean and standard deviation of what training begins with.

    Args:
        settings: the group ``preprocess`` of the configuration; what is None there is looked up.
        begun_with: of the checkpoint that training begins with, if it does with one.
        hub: timm's ``pretrained_cfg`` of weights from its hub, if training begins with them.

    Raises:
        ValidationError: a setting is wrong.
    """
    source = hub or {} if begun_with is None else begun_with.model_dump()
    known = {name: source[name] for name in ("mean", "std") if name in source}
    given = {name: value for name, value in settings.items() if value is not None}
    return Preprocess.model_validate(known | given)
