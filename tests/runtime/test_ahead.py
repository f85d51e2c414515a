"""Frames are read in another thread: all of them in order, or the newest alone."""

import threading
import time
from collections.abc import Generator

import pytest

from birdedge.runtime.sources.ahead import read_ahead, read_newest


def numbers(count: int, pause: float = 0.0) -> Generator[int, None, None]:
    for number in range(count):
        time.sleep(pause)
        yield number


def test_all_items_come_in_order() -> None:
    assert list(read_ahead(numbers(1000), depth=3)) == list(range(1000))


def test_only_so_many_wait() -> None:
    taken = []

    def counted() -> Generator[int, None, None]:
        for number in range(100):
            taken.append(number)
            yield number

    items = read_ahead(counted(), depth=5)
    next(items)
    time.sleep(0.2)
    items.close()

    # Five wait, one was taken, and one is in the reader's hand.
    assert len(taken) == 7


def test_who_is_slow_gets_the_newest() -> None:
    ready, go_on = threading.Event(), threading.Event()

    def camera() -> Generator[int, None, None]:
        yield 0
        assert go_on.wait(20)
        yield from range(1, 50)
        ready.set()
        assert go_on.wait(20)

    frames = read_newest(camera())
    assert next(frames) == 0
    go_on.set()
    assert ready.wait(20)

    assert list(frames) == [49]


@pytest.mark.parametrize("read", [lambda items: read_ahead(items, 2), read_newest])
def test_what_came_before_a_failure_is_given_first(read) -> None:
    def breaking() -> Generator[int, None, None]:
        yield 7
        raise OSError("unplugged")

    items = read(breaking())
    assert next(items) == 7
    with pytest.raises(OSError, match="unplugged"):
        next(items)


def test_the_source_is_closed_when_nobody_wants_more() -> None:
    closed = threading.Event()

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    items = read_ahead(endless(), depth=2)
    next(items)
    items.close()

    assert closed.wait(20)
    assert "frames" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("read", [lambda items: read_ahead(items, 2), read_newest])
def test_who_is_interrupted_closes_the_camera_first(read) -> None:
    """The process ends at once afterwards: what the other thread has not done by then is not."""
    closed = []

    def camera() -> Generator[int, None, None]:
        try:
            for number in range(10_000):
                time.sleep(0.01)
                yield number
        finally:
            closed.append(True)

    frames = read(camera())
    next(frames)
    with pytest.raises(KeyboardInterrupt):
        frames.throw(KeyboardInterrupt)

    assert closed
