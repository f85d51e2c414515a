"""Settings that do not exist: the one that was probably meant."""

from collections.abc import Iterator
from difflib import get_close_matches

from pydantic import BaseModel

from ..runtime.preprocess import Preprocess
from .settings import Settings

# Whose names are not training's to know.
_OF_OTHERS = ("hydra.", "model.args.")


def is_setting(name: str) -> bool:
    """Whether there is a setting of this dotted name, or may be."""
    return name in _names() or name.startswith(_OF_OTHERS)


def did_you_mean(name: str) -> str:
    """A hint to follow the complaint about a setting that does not exist; empty if none is near.

    Args:
        name: as it was typed, such as ``trainer.epoch``, or without its group.
    """
    # The same in another group is meant rather than another in the same.
    elsewhere = [known for known in _names() if _last(known) == _last(name)]
    near = get_close_matches(name, elsewhere, 1, cutoff=0) or get_close_matches(name, _names(), 1)
    if not near:
        last_parts = {_last(known): known for known in _names()}
        near = [last_parts[part] for part in get_close_matches(_last(name), last_parts, 1)]
    return f"; did you mean {near[0]}?" if near else ""


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _names() -> list[str]:
    whole = [name for name in _of(Settings) if name != "preprocess"]
    return [*whole, *_of(Preprocess, "preprocess.")]


def _of(group: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of a group's settings, and of those of the groups within it."""
    for name, field in group.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _of(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
