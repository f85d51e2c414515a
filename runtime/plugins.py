"""Entry points: how commands, engines and exporters are found without being imported."""

from functools import lru_cache
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points


@lru_cache
def _own() -> tuple[EntryPoint, ...]:
    try:
        return tuple(distribution("birdedge").entry_points)
    except PackageNotFoundError:
        return ()


def find(group: str, name: str) -> EntryPoint | None:
    """The entry point of that name, birdedge's own before other packages'.

    Looking at our own package first matters: reading the metadata of every installed package takes
    a tenth of a second where there are many.
    """
    for point in _own():
        if point.group == group and point.name == name:
            return point
    return next(iter(entry_points(group=group, name=name)), None)


def names(group: str) -> list[str]:
    """Names of a group's entry points in all installed packages, sorted."""
    return sorted({point.name for point in entry_points(group=group)})
