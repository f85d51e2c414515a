"""What is kept of each visit: one row and one picture.

``database`` opens and mends the file, ``recorder`` writes visits into it, ``pictures`` keeps their
pictures within a budget, ``records`` finds and counts them, ``exports`` hands them on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Guess:
    """A taxon and how probable it is, from 0 to 1."""

    scientific_name: str
    common_name: str
    probability: float

    @property
    def name(self) -> str:
        """For a birder: the common name, else the scientific one."""
        return self.common_name or self.scientific_name


@dataclass(frozen=True)
class Sighting:
    """One bird's visit, as it is kept.

    Attributes:
        id: 32 hexadecimal digits, unique in the world.
        source: the camera's name.
        start: when the bird came, in UTC.
        seconds: how long it stayed.
        answer: what it was taken for, with regard to what occurs there; none for unknown.
        unweighted: the same without that regard.
        runners_up: the likeliest others, best first.
        ebird_code: the answer's, where it is a species that has one.
        votes: views that were classified.
        model_id: of the bundle that named it.
        box: of the picture in its frame: left, top, width, height, from 0 to 1.
        pictured_at: when the picture was taken, in UTC.
        picture: its file, below the store's folder; none once it was pruned.
        ended: whether the bird had left.
        correction: what a person says that it was: `Correction`; none if nobody did.
        favourite: whether its picture is to be kept.
    """

    id: str
    source: str
    start: datetime
    seconds: float
    answer: Guess | None
    unweighted: Guess | None
    runners_up: tuple[Guess, ...]
    ebird_code: str | None
    votes: int
    model_id: str
    box: tuple[float, float, float, float]
    pictured_at: datetime
    picture: str | None = None
    ended: bool = True
    correction: "Correction | None" = None
    favourite: bool = False

    @property
    def end(self) -> datetime:
        """When the bird was last seen, in UTC."""
        return self.start + timedelta(seconds=self.seconds)

    @property
    def scientific_name(self) -> str | None:
        """What it is, by a person's word or else the model's; none for unknown, or for no bird."""
        if self.correction is not None:
            return self.correction.scientific_name
        return self.answer.scientific_name if self.answer else None

    @property
    def common_name(self) -> str:
        """The same, in English."""
        if self.correction is not None:
            return self.correction.common_name
        return self.answer.common_name if self.answer else ""

    @property
    def name(self) -> str:
        """For a birder."""
        if self.correction is not None and self.correction.scientific_name is None:
            return "no bird"
        return self.common_name or self.scientific_name or "unknown"


@dataclass(frozen=True)
class Correction:
    """What a person says that a bird was.

    Attributes:
        scientific_name: none if it was no bird at all.
        common_name: the same, in English.
        ebird_code: where it is known.
        corrected_at: when it was said, in UTC.
    """

    scientific_name: str | None
    common_name: str
    ebird_code: str | None
    corrected_at: datetime
