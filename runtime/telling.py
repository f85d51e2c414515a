"""What birdedge's modules log, said on standard error as everything else is."""

import logging
import sys

from .errors import one_line


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"birdedge: {one_line(record.getMessage())}\n")


def tell_what_is_logged() -> None:
    """For commands; who uses birdedge from Python has Python's own settings for it."""
    logger = logging.getLogger("birdedge")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [_Lines()]
