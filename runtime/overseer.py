"""Who looks after the model that a service runs, through every change of it."""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .classifier import Classifier
from .errors import BundleError, SyncError
from .installed import Installed
from .probation import Probation, counted_start, put_back
from .sources import Frame, Lost
from .visits import Visit

_LOOK_SECONDS = 10.0
_LOADING_SECONDS = 300.0
"""A model that sync put to use and the service does not take over cannot be loaded."""


class Overseer:
    """Has each model of a device on probation while it names the birds.

    Args:
        installed: the device's models.
        now: gives what names the birds that come now.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        installed: Installed,
        now: Callable[[], Classifier],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._installed = installed
        self._now = now
        self._clock = clock
        self._folder = self._watched = now().bundle.folder
        self._probation = Probation(installed, installed.at(self._folder), clock)
        self._looked = clock()
        self._other_since: float | None = None

    def watched(self, moments: Iterable[Frame | Lost]) -> Iterator[Frame | Lost]:
        """Moments, of which those that are frames are counted."""
        for moment in moments:
            yield moment
            if isinstance(moment, Frame):
                self._follow(self._now().bundle.folder)
                self._probation.frame()
                if self._clock() - self._looked >= _LOOK_SECONDS:
                    self._looked = self._clock()
                    self._look_whether_it_can_be_loaded()

    def inferred(self, classifier: Classifier, seconds: float) -> None:
        """One inference took so long; birds that came before a change have another model."""
        if classifier.bundle.folder == self._watched:
            self._probation.inferred(seconds)

    def take(self, visit: Visit) -> None:
        """See how sure the model was of a visit that ended."""
        if visit.ended and visit.model_id == self._probation.model.model:
            self._probation.saw(visit.unweighted.ranked[0].probability)

    def close(self) -> None:
        """Keep what was seen."""
        self._probation.keep()

    def _follow(self, folder: Path) -> None:
        if folder == self._folder:
            return
        self._folder = folder
        self._probation.keep()
        # Its folder may be gone by now, and what is loaded goes on nevertheless.
        with suppress(BundleError):
            model = self._installed.at(folder)
            self._probation = Probation(self._installed, model, self._clock)
            self._watched = folder

    def _look_whether_it_can_be_loaded(self) -> None:
        with suppress(SyncError):
            wanted, trial = self._installed.current(), self._installed.state().trial
            if wanted.digest == self._probation.model.digest:
                self._other_since = None
            elif self._other_since is None:
                self._other_since = self._clock()
            elif (
                trial is not None
                and trial.digest == wanted.digest
                and self._clock() - self._other_since >= _LOADING_SECONDS
            ):
                put_back(self._installed, wanted, "the service could not load it")


@contextmanager
def service_of(installed: Installed | None) -> Iterator[Installed | None]:
    """Be the one service that looks after a device's models, while the block lasts.

    Gives none where nothing can be kept of them, or another process looks after them already.
    """
    if installed is None:
        yield None
        return
    try:
        # The first model may be brought while the service runs.
        installed.folder.mkdir(parents=True, exist_ok=True)
        lock = (installed.folder / ".service.lock").open("w")
    except OSError:
        yield None
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        with counted_start(installed):
            yield installed
