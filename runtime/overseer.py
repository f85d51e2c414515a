"""Who looks after the model that a service runs, through every change of it."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .classifier import Classifier
from .installed import Installed
from .probation import Probation
from .sources import Frame, Lost
from .visits import Visit


class Overseer:
    """Has each model of a device on probation while it names the birds.

    Args:
        installed: the device's models.
        now: gives what names the birds that come now.
    """

    def __init__(self, installed: Installed, now: Callable[[], Classifier]) -> None:
        self._installed = installed
        self._now = now
        self._folder = now().bundle.folder
        self._probation = Probation(installed, installed.at(self._folder))

    def watched(self, moments: Iterable[Frame | Lost]) -> Iterator[Frame | Lost]:
        """Moments, of which those that are frames are counted."""
        for moment in moments:
            yield moment
            if isinstance(moment, Frame):
                self._follow(self._now().bundle.folder)
                self._probation.frame()

    def _follow(self, folder: Path) -> None:
        if folder != self._folder:
            self._folder = folder
            self._probation.end()
            self._probation = Probation(self._installed, self._installed.at(folder))

    def inferred(self, seconds: float) -> None:
        """One inference took so long."""
        self._probation.inferred(seconds)

    def take(self, visit: Visit) -> None:
        """See how sure the model was of a visit that ended."""
        if visit.ended and visit.model_id == self._probation.model.model:
            self._probation.saw(visit.unweighted.ranked[0].probability)

    def close(self) -> None:
        """Keep what was seen: the service ends of its own accord."""
        self._probation.end()
