"""How many threads one inference may use."""

from .errors import BackendError

MAX_THREADS = 256
"""More than the machines that such small networks run on have cores. Engines start as many as they
are told to; tens of thousands leave a machine nothing to hear Ctrl-C with.
"""


def check_threads(threads: int) -> None:
    """See that so many threads can be had.

    Raises:
        BackendError: they are none, or too many.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise BackendError(f"{threads} threads: give at least 1, at most {MAX_THREADS}")
