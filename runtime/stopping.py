"""Ctrl-C, `systemctl stop`, a terminal that is closed: once, and what is under way is ended well;
twice, at once.
"""

import os
import signal
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it."""


class Stop(Event):
    """Set by SIGINT, SIGTERM or SIGHUP.

    Attributes:
        by: which of them it was.
    """

    by: signal.Signals | None = None


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """An event that is set by the first signal; the second one raises KeyboardInterrupt."""
    stop = Stop()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.by = signal.Signals(number)
        stop.set()

    asking = [signal.SIGINT, signal.SIGTERM]
    # Who was started by nohup is to outlive the terminal.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        asking.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in asking}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_like_interrupted(
    by: Collection[signal.Signals] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
) -> Iterator[None]:
    """SIGTERM, as of `kill`, and a terminal that is closed end work as Ctrl-C does: nothing is
    left half.

    Args:
        by: the signals that are to.

    Raises:
        KeyboardInterrupt: at any of them, also where a library makes another error of it.
    """
    asked = Event()

    def handle(number: int, frame: FrameType | None) -> None:
        asked.set()
        raise KeyboardInterrupt

    # A shell's background job is not to hear of Ctrl-C, nor what nohup started of its terminal.
    ending = [number for number in by if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in ending}
    try:
        yield
    except Exception as error:
        # While a library is imported, it makes an error of its own of that.
        if asked.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(code: int) -> NoReturn:
    """End the process when its work is done and its files are closed.

    A normal exit would still wait for a download that hangs, and then take every module apart,
    which is a good part of the time that one picture takes. What asked to be called at exit, as
    profilers do, is not.

    Raises:
        OSError: what was written to standard output cannot be.
    """
    sys.stdout.flush()
    os._exit(code)
