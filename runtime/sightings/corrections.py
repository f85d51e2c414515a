"""What a person says that a bird was: names that the model knows, or any in full."""

import re
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches

from pydantic import ValidationError

from ..errors import StoreError
from ..labels import Label, names_of
from ..texts import what_is_wrong
from . import Correction

_BINOMIAL = re.compile(r"[A-Z][a-z-]+ [a-z-]+( sp\.)?|[A-Z][a-z]+ sp\.")


def correction_of(species: str | None, labels: Sequence[Label], now: datetime) -> Correction:
    """A correction, as it is kept.

    Args:
        species: a common or scientific name or eBird code of one of the labels, in any case, or
            ``Scientific name (Common name)`` of any other bird; none for no bird.
        labels: the species that need not be named in full.
        now: when it was said, in UTC.

    Raises:
        StoreError: it is none of these.
    """
    if species is None:
        return Correction(None, "", None, now)
    known = {name: label for label in labels for name in names_of(label)}
    label = known.get(species.strip().lower())
    if label is None:
        try:
            label = Label.parse(species)
        except ValidationError as error:
            raise StoreError(f"{species!r}: {what_is_wrong(error)}") from error
        if not _BINOMIAL.fullmatch(label.scientific_name):
            near = get_close_matches(species.lower(), known, n=3)
            names = [known[name].name for name in near]
            meant = f" (did you mean {' or '.join(dict.fromkeys(names))}?)" if near else ""
            raise StoreError(
                f"the model knows no {species!r}{meant}; name another bird in full, as in "
                "'Turdus merula (Eurasian Blackbird)'"
            )
    return Correction(label.scientific_name, label.common_name, label.ebird_code, now)
