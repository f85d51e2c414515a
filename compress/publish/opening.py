"""How commands are told of a repository and its keys, and open it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from .keys import Keys
    from .repository import Repository

RepositoryAddress = Annotated[
    str,
    typer.Option(
        "--to",
        envvar="BIRDEDGE_REPOSITORY",
        metavar="REPOSITORY",
        help="gs://BUCKET/PREFIX, or a folder that a web server serves.",
    ),
]
KeysFolder = Annotated[
    Path,
    typer.Option(
        "--keys",
        envvar="BIRDEDGE_KEYS",
        metavar="DIR",
        help="Where the private keys lie; BIRDEDGE_KEYS_PASSPHRASE encrypts them.",
    ),
]


def open_repository(
    address: str, folder: Path, *, may_be_new: bool = False, expired: bool = False
) -> "tuple[Repository, Keys]":
    """Open the repository at an address with the keys in a folder.

    Raises:
        MissingExtraError: what speaks to repositories is not installed.
        PublishError: there is none, or it is not to be believed.
    """
    from ...runtime.extras import needs_extra

    with needs_extra("gcs"):
        from .keys import Keys
        from .repository import Repository
    from .storage import PublishError, open_storage

    own = Keys(folder)
    repository = Repository(open_storage(address), own, expired=expired)
    if not may_be_new and not repository.status():
        raise PublishError(f"{address} holds no repository; `birdedge keys init` begins one")
    return repository, own
