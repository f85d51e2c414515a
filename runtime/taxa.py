"""Genera and families of a model's species, named as eBird names birds that are one of several."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from .labels import Label

Taxa = Mapping[str, Label]
"""By the scientific names of its species; those that are alone in theirs have none."""


@lru_cache(maxsize=8)
def wider_taxa(labels: tuple[Label, ...]) -> tuple[Taxa, Taxa]:
    """Genera and families of a model's labels: ``gull sp.``, ``Empidonax sp.``."""
    return (
        _grouped(labels, [_genus(label) for label in labels]),
        _grouped(labels, [Label.parse(label.family) if label.family else None for label in labels]),
    )


def genera_of(labels: tuple[Label, ...]) -> list[str | None]:
    """Genus of each of a model's labels, as `Label.genus` has it: named as an answer would be."""
    named, _ = wider_taxa(labels)
    genera = [named.get(label.scientific_name) or _genus(label) for label in labels]
    return [None if genus is None else str(genus).replace(" sp.", "") for genus in genera]


def _genus(label: Label) -> Label | None:
    if label.genus is not None:
        return Label.parse(label.genus)
    words = label.scientific_name.split()
    # "House Finch" is what a folder was called: no species is written with a second capital.
    if len(words) < 2 or not all(word.islower() for word in words[1:]) or label.is_background:
        return None
    return Label(scientific_name=words[0])


def _grouped(labels: Sequence[Label], taxa: Sequence[Label | None]) -> Taxa:
    members: dict[Label, list[Label]] = {}
    for label, taxon in zip(labels, taxa, strict=True):
        if taxon is not None:
            members.setdefault(taxon, []).append(label)
    named = {
        taxon: _of_several(taxon, species) for taxon, species in members.items() if species[1:]
    }
    return {
        label.scientific_name: named[taxon]
        for label, taxon in zip(labels, taxa, strict=True)
        if taxon in named
    }


def _of_several(taxon: Label, species: list[Label]) -> Label:
    """A taxon's name, in English by its own or by what all its species are: gulls, orioles."""
    # Names of one's own may be in a language whose last words are adjectives.
    english = [label for label in species if label.common_name and label.genus is None]
    last_words = {label.common_name.split()[-1].lower() for label in english}
    common = taxon.common_name or (last_words.pop() if len(last_words) == 1 else "")
    return Label(
        scientific_name=f"{taxon.scientific_name} sp.",
        common_name=f"{common} sp." if common else "",
    )
