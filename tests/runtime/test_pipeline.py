"""Order, bad pictures, memory, and what happens when nobody reads on."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event, Lock
from time import sleep

import numpy as np
from colours import BLUE, GREEN, RED
from numpy.typing import NDArray
from PIL import Image

from birdedge.runtime.classifier import Classifier
from birdedge.runtime.pipeline import Result, classify_live, classify_pictures
from birdedge.runtime.sources import Picture
from birdedge.runtime.sources.images import picture_file

COLORS = {RED: "Northern Cardinal", GREEN: "Calliope Hummingbird", BLUE: "Indigo Bunting"}


def drawn(name: str, color: str, seconds: float = 0.0) -> Picture:
    def read() -> Image.Image:
        sleep(seconds)
        return Image.new("RGB", (40, 40), color)

    return Picture(name, read)


def named(results: Iterator[Result]) -> list[tuple[str, str | None]]:
    return [(result.name, result.prediction and result.prediction.name) for result in results]


def test_results_keep_the_order_though_the_first_picture_decodes_last(
    classifier: Classifier,
) -> None:
    colors = list(COLORS) * 5
    pictures = [
        drawn(str(number), color, seconds=0.05 if number % 4 == 0 else 0)
        for number, color in enumerate(colors)
    ]

    results = named(classify_pictures(pictures, classifier, decoders=3))

    assert results == [(str(number), COLORS[color]) for number, color in enumerate(colors)]


def test_a_bad_picture_is_reported_in_its_place(
    classifier: Classifier, draw: Callable[..., Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(draw("whole.png").read_bytes()[:60])
    files = [draw("a.png", RED), broken, draw("b.png", BLUE)]

    first, second, third = classify_pictures(map(picture_file, files), classifier)

    assert first.prediction is not None and first.prediction.name == "Northern Cardinal"
    assert second.prediction is None and second.error is not None and str(broken) in second.error
    assert third.prediction is not None and third.prediction.name == "Indigo Bunting"


def test_a_picture_too_large_for_the_memory_does_not_cost_the_next(classifier: Classifier) -> None:
    huge = Picture("huge", lambda: Image.fromarray(np.empty((1 << 40, 1 << 10), dtype=np.uint8)))

    first, second = classify_pictures([huge, drawn("b", BLUE)], classifier)

    assert first.error is not None and first.error.startswith("huge: Unable to allocate")
    assert second.prediction is not None and second.prediction.name == "Indigo Bunting"


def test_only_a_few_pictures_are_ahead_of_the_one_being_read(classifier: Classifier) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Picture]:
        number = 0
        while True:
            taken.append(number)
            yield drawn(str(number), RED)
            number += 1

    results = classify_pictures(endless(), classifier, decoders=2, batch_size=4)
    for _ in range(10):
        next(results)
    results.close()

    assert len(taken) < 10 + 4 * 4


def test_decoding_goes_on_while_the_engine_works(classifier: Classifier) -> None:
    """The engine waits for a picture that is only decoded if decoders do not wait for it."""
    decoded_later = Event()
    lock = Lock()
    seen = 0

    def read() -> Image.Image:
        nonlocal seen
        with lock:
            seen += 1
            if seen > 2:
                decoded_later.set()
        return Image.new("RGB", (40, 40), RED)

    class Slow(Classifier):
        waited: bool = False

        def predict(self, pictures):  # type: ignore[no-untyped-def]
            self.waited = self.waited or decoded_later.wait(timeout=20)
            return super().predict(pictures)

    slow = Slow(classifier.bundle)
    pictures = [Picture(str(number), read) for number in range(6)]

    assert len(list(classify_pictures(pictures, slow, decoders=1, batch_size=1))) == 6
    assert slow.waited


def test_who_stops_early_does_not_wait_for_a_picture_that_hangs(classifier: Classifier) -> None:
    release = Event()

    def hang() -> NDArray[np.uint8]:
        assert release.wait(timeout=60)
        return np.zeros((40, 40, 3), dtype=np.uint8)

    pictures = [drawn("quick", RED), Picture("hanging", hang)]
    results = classify_pictures(pictures, classifier, batch_size=1)
    try:
        assert next(results).name == "quick"
        start = time.monotonic()
        results.close()
        assert time.monotonic() - start < 10  # and not the 60 of the picture
    finally:
        release.set()


def test_images_are_kept_only_when_wanted(classifier: Classifier) -> None:
    classify = partial(classify_pictures, [drawn("red", RED)], classifier)

    (without,) = classify()
    (with_image,) = classify(keep_images=True)

    assert without.image is None
    assert with_image.image is not None and with_image.image.size == (40, 40)


def test_a_live_frame_is_taken_when_it_is_its_turn(classifier: Classifier) -> None:
    taken = []

    def camera() -> Iterator[Picture]:
        for number in range(5):
            taken.append(number)
            yield drawn(str(number), RED)

    results = classify_live(camera(), classifier)
    for number in range(3):
        assert next(results).name == str(number)
        assert taken == list(range(number + 1))
