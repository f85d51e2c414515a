"""Where a repository is kept: objects by name, written only over what one has seen."""

from pathlib import Path
from typing import NamedTuple, Protocol

from ....runtime.errors import BirdedgeError


class PublishError(BirdedgeError):
    """Nothing was published: no right to, no key, or somebody else was faster."""


class ConflictError(PublishError):
    """An object is not the one that was seen: somebody else wrote it meanwhile."""


class Stored(NamedTuple):
    """An object's content, and the generation by which it can be replaced."""

    content: bytes
    generation: int


ABSENT = 0
"""The generation of what is not there."""


class Storage(Protocol):
    """Objects by name; a name may hold slashes."""

    def read(self, name: str) -> Stored | None:
        """An object; none if there is none.

        Raises:
            PublishError: it cannot be read.
        """

    def names(self, prefix: str) -> list[str]:
        """Names that begin so, sorted.

        Raises:
            PublishError: they cannot be listed.
        """

    def write(self, name: str, content: bytes | Path, generation: int) -> None:
        """Write an object over the generation that was seen, `ABSENT` for a new one.

        Raises:
            ConflictError: another generation is there.
            PublishError: it cannot be written.
        """


def open_storage(address: str) -> Storage:
    """The storage at ``gs://BUCKET/PREFIX`` or in a folder.

    Raises:
        PublishError: it is neither.
        MissingExtraError: Google's library is not installed.
    """
    if address.startswith("gs://"):
        from .gcs import GoogleStorage

        return GoogleStorage(address)
    if "://" in address:
        raise PublishError(
            f"cannot write to {address}; publish to a folder and copy that to the web server"
        )
    from .folder import FolderStorage

    return FolderStorage(Path(address))
