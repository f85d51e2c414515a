"""What to install when an optional part is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import MissingExtraError


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a missing package inside the block into the command that installs it.

    Raises:
        MissingExtraError: a package outside birdedge is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "birdedge":
            raise
        raise MissingExtraError(
            f'this needs {package}, which is not installed: pip install "birdedge[{extra}]"'
        ) from error
