"""Disks that are full, without one."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def little_space(most: int = 100_000) -> Iterator[None]:
    """No file may grow beyond so many bytes, as on a disk that is nearly full.

    That is true of the test runner's own output too: nothing but what is tried belongs in here.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
