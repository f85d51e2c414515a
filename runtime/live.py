"""The model of the moment: another one is loaded beside it and takes over between two frames.

A classifier is closed when nobody can ask it any more. Each bird holds on to the one that it began
with, so an old one stays for as long as a bird needs it, and one that came too late goes unused.
"""

import threading
import time
import weakref
from collections.abc import Callable

import numpy as np

from .classifier import Classifier
from .telling import say

_PATIENCE_SECONDS = 10.0
"""How long one that is still being loaded is waited for at the end: an engine that is cut short as
it starts may take the process down with it."""

_LONGEST_WAIT_SECONDS = 60.0
"""At a feeder in winter there may be no moment without birds, and a new model is to come anyway."""


class LiveClassifier:
    """The classifier of the moment; all but the loading happens in the caller's thread.

    Args:
        load: loads what is wanted now; raises BirdedgeError if it cannot.
        wanted: cheap to ask; gives another value when another model is wanted.
        seconds: it is asked this often at most.
        longest_wait: so many seconds at most another one is not loaded because birds are there.

    Raises:
        BirdedgeError: the first one cannot be loaded.
    """

    def __init__(
        self,
        load: Callable[[], Classifier],
        wanted: Callable[[], object],
        seconds: float = 1.0,
        longest_wait: float = _LONGEST_WAIT_SECONDS,
    ) -> None:
        self._load = load
        self._wanted = wanted
        self._seconds = seconds
        self._longest_wait = longest_wait
        self._waiting_since: float | None = None
        # Asked before it is loaded: a change meanwhile is seen at the next look.
        self._is = self._tried = wanted()
        self._current: Classifier | None = load()
        self._closers = [_closed_when_unused(self._current)]
        self._loading: _Loading | None = None
        self._looked = time.monotonic()

    def now(self, alone: bool = False) -> Classifier:
        """What names the birds that come now; takes no time.

        Args:
            alone: nobody is before the camera from whom loading would take the processor.
        """
        loaded = self._loading is not None and not self._loading.is_alive()
        idle = self._loading is None and time.monotonic() - self._looked >= self._seconds
        if loaded or idle:
            self._look(alone)
        assert self._current is not None, "it is closed"
        return self._current

    def close(self) -> None:
        """Close all, also one that is being loaded; nobody may ask any of them afterwards."""
        loading, self._loading, self._current = self._loading, None, None
        if loading is not None:
            loading.join(_PATIENCE_SECONDS)
            # One that takes longer is closed at the end of its own thread.
            if loading.closer is not None and not loading.is_alive():
                loading.closer()
        for closer in self._closers:
            closer()

    def _look(self, alone: bool) -> None:
        """See what is wanted; take over what was loaded, if that is still it."""
        self._looked = time.monotonic()
        try:
            wanted = self._wanted()
        except OSError:  # the folder cannot be read just now: nothing else is wanted
            return
        loading, self._loading = self._loading, None
        if loading is not None and loading.wanted == wanted:
            self._take_over(loading)
        # What could not be loaded is not tried again until something else was wanted.
        if wanted == self._tried:
            self._waiting_since = None
        elif wanted == self._is:
            self._tried = wanted
        elif alone or self._waited_long_enough():
            self._tried = wanted
            self._loading = _Loading(self._load, wanted)

    def _waited_long_enough(self) -> bool:
        if self._waiting_since is None:
            self._waiting_since = self._looked
        return self._looked - self._waiting_since >= self._longest_wait

    def _take_over(self, loading: "_Loading") -> None:
        assert self._current is not None
        if loading.classifier is None or loading.closer is None:
            name = self._current.bundle.manifest.id
            say(f"another model is wanted, but {loading.error}; {name} goes on")
            return
        self._is, self._current = loading.wanted, loading.classifier
        self._closers = [*(each for each in self._closers if each.alive), loading.closer]
        say(f"{self._current.bundle.manifest.id} names the birds from now on")


class _Loading(threading.Thread):
    """Loads a classifier and tries it, while another one is at work.

    Attributes:
        wanted: what was wanted as it began.
        classifier: what was loaded; none if that failed.
        closer: closes it.
        error: why it failed.
    """

    def __init__(self, load: Callable[[], Classifier], wanted: object) -> None:
        super().__init__(name="load", daemon=True)
        self.wanted = wanted
        self.classifier: Classifier | None = None
        self.closer: weakref.finalize[[], Classifier] | None = None
        self.error = ""
        self._load = load
        self.start()

    def run(self) -> None:
        """Load it."""
        try:
            classifier = self._load()
            self.closer = _closed_when_unused(classifier)
            # The first inference is slow, and shows whether it works at all.
            size = classifier.bundle.manifest.preprocess.input_size
            classifier.logits(np.zeros((1, *size, 3), np.uint8))
            self.classifier = classifier
        # Whatever is wrong with it, the one that is at work goes on.
        except Exception as error:
            self.error = str(error) or type(error).__name__


def _closed_when_unused(classifier: Classifier) -> "weakref.finalize[[], Classifier]":
    """Have its engine freed with the last reference to it, or by a call of what this gives.

    `Classifier.close` would be a reference of its own.
    """
    return weakref.finalize(classifier, classifier.backend.close)
