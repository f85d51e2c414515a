"""Signals: the first one asks, the second one interrupts."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from birdedge.runtime.stopping import ended_like_interrupted, stopped_by_signals

Handled = Callable[[signal.Signals, signal.Handlers], None]


@pytest.fixture
def handled() -> Iterator[Handled]:
    """Sets what becomes of a signal, for this test alone."""
    before = {}

    def handle(number: signal.Signals, handler: signal.Handlers) -> None:
        before[number] = signal.signal(number, handler)

    yield handle
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_one_asks_and_the_second_one_interrupts(
    handled: Handled, number: signal.Signals
) -> None:
    handled(number, signal.SIG_DFL)
    with stopped_by_signals() as stop:
        os.kill(os.getpid(), number)
        assert stop.wait(5) and stop.by == number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            time.sleep(5)

    assert signal.getsignal(number) == signal.SIG_DFL


def test_who_is_to_outlive_the_terminal_does(handled: Handled) -> None:
    """As `nohup` has it."""
    handled(signal.SIGHUP, signal.SIG_IGN)
    with stopped_by_signals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.wait(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_work_is_interrupted_also_where_a_library_makes_another_error_of_it(
    handled: Handled, number: signal.Signals
) -> None:
    handled(number, signal.SIG_DFL)
    with pytest.raises(KeyboardInterrupt), ended_like_interrupted():
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error

    assert signal.getsignal(number) == signal.SIG_DFL
    with pytest.raises(ImportError), ended_like_interrupted():
        raise ImportError("of its own")


def test_only_what_is_asked_for_interrupts(handled: Handled) -> None:
    handled(signal.SIGTERM, signal.SIG_DFL)
    handled(signal.SIGINT, signal.SIG_DFL)
    with ended_like_interrupted([signal.SIGINT]):
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)


def test_work_in_the_background_does_not_hear_of_ctrl_c(handled: Handled) -> None:
    handled(signal.SIGINT, signal.SIG_IGN)
    with ended_like_interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
