"""Species names, and the text file that lists them."""

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import BundleError
from .texts import Text, what_is_wrong

BACKGROUND = "background"
"""The class that stands for "no bird", by the convention of the iNaturalist bird models."""

_SCIENTIFIC_AND_COMMON = re.compile(r"^(?P<scientific>[^()]+?)\s*\((?P<common>.+)\)$")


class Label(BaseModel):
    """One class of a model: a species, or the background.

    Attributes:
        scientific_name: Latin binomial, as in the eBird/Clements checklist where it is known.
        common_name: English name.
        ebird_code: eBird's species code, where it is known.
        dataset_class: what the training data calls it, so that figures can be taken from folders.
        family: ``Laridae (gull)``, with what its members are called, where it is known.
        genus: ``Icterus (oriole)``, likewise, where the names do not say it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scientific_name: Text
    common_name: Text = ""
    ebird_code: Text | None = None
    dataset_class: Text | None = None
    family: Text | None = None
    genus: Text | None = None

    @property
    def name(self) -> str:
        """What a birder calls it: the common name, else the scientific one."""
        return self.common_name or self.scientific_name

    @property
    def is_background(self) -> bool:
        """Whether this class means "no bird"."""
        return self.scientific_name == BACKGROUND

    def __str__(self) -> str:
        if not self.common_name or self.common_name == self.scientific_name:
            return self.scientific_name
        return f"{self.scientific_name} ({self.common_name})"

    @classmethod
    def parse(cls, line: str) -> "Label":
        """Read ``Scientific name (Common name)``; a line without brackets is one name alone.

        Raises:
            ValidationError: it cannot be printed; see `Text`.
        """
        line = line.strip()
        match = _SCIENTIFIC_AND_COMMON.match(line)
        if match:
            return cls(scientific_name=match["scientific"], common_name=match["common"])
        return cls(scientific_name=line)


def shown_as(own: Label, line: Label, genus: str | None) -> Label:
    """A class of a model by another name; what it is, its number says, and that stays.

    A line with two names gives it both: another scientific name is one that the same bird got
    since, or never had. A line of one name alone is what to call it. ``background`` is no bird,
    whatever the bundle has there, and the bundle's own background stays that.

    Args:
        own: the bundle's label.
        line: the one to show.
        genus: the bundle's, as it is to be named further on; see `Label`.
    """
    if line.is_background:
        return own if own.is_background else line
    scientific, common = line.scientific_name, line.common_name
    if own.is_background or not common:
        scientific, common = own.scientific_name, line.name
    names = {"scientific_name": scientific, "common_name": "" if common == scientific else common}
    return own.model_copy(update={**names, "genus": genus})


def names_of(label: Label) -> list[str]:
    """What people may call a species, in lower case; the background has no name."""
    if label.is_background:
        return []
    names = (label.common_name, label.scientific_name, label.ebird_code, str(label))
    return [name.lower() for name in names if name]


def read_labels(path: Path) -> list[Label]:
    """Read a labels file: one ``Scientific name (Common name)`` a line, in class order.

    Raises:
        BundleError: the file is missing, not text, empty, has a blank line inside, or one that
            cannot be printed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BundleError(f"cannot read labels {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"labels {path} is not a UTF-8 text file") from error
    lines = text.rstrip().splitlines()
    if not lines:
        raise BundleError(f"labels {path} is empty; it needs one species a line")
    labels = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise BundleError(f"labels {path}, line {number} is blank; class numbers would shift")
        try:
            labels.append(Label.parse(line))
        except ValidationError as error:
            raise BundleError(f"labels {path}, line {number}: {what_is_wrong(error)}") from error
    return labels
