"""What can go wrong, said so that a person at a terminal knows what to do next."""


class BirdedgeError(Exception):
    """Base of every error that birdedge raises on purpose; its text is meant for people."""


class ImageError(BirdedgeError):
    """A picture could not be read: missing, truncated, too large, or of an unsupported kind."""


class SourceError(BirdedgeError):
    """A source of pictures could not be opened: no such file, camera, address."""


class BundleError(BirdedgeError):
    """A model bundle is missing, incomplete, tampered with, or inconsistent."""


class OccurrenceError(BirdedgeError):
    """A list of the species that occur somewhere cannot be used."""


class NotifyError(BirdedgeError):
    """Whoever is to be told of visits cannot be: no such kind of address."""


class ServiceError(BirdedgeError):
    """The service cannot be installed or asked: no systemd, no right to do so."""


class StoreError(BirdedgeError):
    """Sightings cannot be kept or read: no such folder, a later format, nothing of that name."""


class SyncError(BirdedgeError):
    """No model could be fetched or put to use: no line, not signed, too slow, no space.

    Attributes:
        kind: the same in a word, for those who must not hear of addresses and folders.
    """

    def __init__(self, message: str, kind: str = "failed") -> None:
        super().__init__(message)
        self.kind = kind


class BackendError(BirdedgeError):
    """An inference engine is missing or could not load or run a model."""


class MissingExtraError(BirdedgeError):
    """A part of birdedge was asked for whose optional packages are not installed."""


class DataError(BirdedgeError):
    """A data set is missing, damaged, or not laid out as expected."""


class TrainingError(BirdedgeError):
    """Training went wrong in a way that more of it cannot mend."""


class CheckpointError(BirdedgeError):
    """Weights or a checkpoint do not exist or do not fit what was asked of them."""


def one_line(text: str) -> str:
    """A text as it can be shown: a file's name may hold line breaks and terminal commands."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: BaseException) -> str:
    """What another library's error says, as far as a line has room for it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
