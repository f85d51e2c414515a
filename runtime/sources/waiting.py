"""Work that may hang, in a thread that can be left behind."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float | None, work: Callable[[], T]) -> T:
    """What some work gives, if it does so in time; Ctrl-C is heard meanwhile.

    Python hears no signal while the main thread is in a library, as OpenCV's that waits for a
    server.

    Args:
        seconds: for all of it; none waits for ever.
        work: goes on in its thread when the time is up, until the process ends.

    Raises:
        TimeoutError: the time is up.
        Exception: what the work raises.
    """
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except Exception as error:
            result.set_exception(error)

    Thread(target=run, name="waiting", daemon=True).start()
    return result.result(timeout=seconds)
