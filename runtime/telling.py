"""What birdedge's modules log, said on standard error as everything else is."""

import logging
import sys
from contextlib import suppress

from .errors import one_line


def say(line: str) -> None:
    """Tell people something: standard output holds data alone.

    Where nobody can be told, a terminal that is closed, a log on a full disk, work goes on.
    """
    with suppress(OSError, ValueError):
        sys.stderr.write(f"birdedge: {one_line(line)}\n")


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def tell_what_is_logged() -> None:
    """For commands; who uses birdedge from Python has Python's own settings for it."""
    logger = logging.getLogger("birdedge")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [_Lines()]
