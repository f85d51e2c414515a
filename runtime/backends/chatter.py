"""Silence for engines that talk to the terminal from native code."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_chatter() -> Iterator[None]:
    """Keep C++ notes ("Created XNNPACK delegate", "parse magic failed") off the terminal.

    They go straight to file descriptor 2 and no setting silences them; failures are told otherwise.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
