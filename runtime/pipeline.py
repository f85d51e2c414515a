"""Decoding overlaps inference, results keep the input's order, a bad picture is only reported."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .classifier import Classifier
from .errors import ImageError
from .predictions import Prediction
from .sources import Frame, Picture

_PATIENCE_SECONDS = 0.5
"""A large photo takes as long; a server that hangs, sixty times that."""


@dataclass(frozen=True)
class Result:
    """One picture's prediction, or why there is none.

    Attributes:
        name: of the picture.
        prediction: what the model says.
        error: what was wrong with the picture.
        frame: number and time, where it was a frame.
        image: the decoded picture, if it was to be kept.
        box: of the picture in the frame, where it was a part of one; see `Picture`.
    """

    name: str
    prediction: Prediction | None = None
    error: str | None = None
    frame: Frame | None = None
    image: Image.Image | None = None
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class _Decoded:
    picture: Picture
    fitted: NDArray[np.uint8] | None = None
    error: str | None = None
    image: Image.Image | None = None


def classify_pictures(
    pictures: Iterable[Picture],
    classifier: Classifier,
    *,
    decoders: int = 2,
    batch_size: int = 4,
    keep_images: bool = False,
) -> Generator[Result, None, None]:
    """Classify pictures as they come.

    Args:
        pictures: taken from lazily; at most a few batches are ahead of the one being classified,
            so that a folder of any size needs the same memory.
        classifier: what names them.
        decoders: threads that decode and resize.
        batch_size: how many are inferred together.
        keep_images: whether results carry the decoded picture.

    Yields:
        One result for each picture, in order.
    """
    source = iter(pictures)
    pool = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
    waiting: deque[Future[_Decoded]] = deque()
    ahead = 2 * batch_size + decoders

    def refill() -> None:
        for picture in islice(source, ahead - len(waiting)):
            waiting.append(pool.submit(_decode, picture, classifier, keep_images))

    try:
        refill()
        while waiting:
            batch = _next_batch(waiting, batch_size)
            # Refill before inferring: the decoders work while the engine does.
            refill()
            yield from _infer(batch, classifier)
    finally:
        # Whoever stops early should not wait for a download that hangs in a decoder.
        pool.shutdown(wait=False, cancel_futures=True)


def _next_batch(waiting: "deque[Future[_Decoded]]", size: int) -> list[_Decoded]:
    """Take what is decoded next; those before a picture that is long in coming go without it."""
    batch = [waiting.popleft().result()]
    with suppress(TimeoutError):
        while waiting and len(batch) < size:
            batch.append(waiting[0].result(_PATIENCE_SECONDS))
            waiting.popleft()
    return batch


def classify_live(
    pictures: Iterable[Picture], classifier: Classifier, *, keep_images: bool = False
) -> Generator[Result, None, None]:
    """Classify what a camera sees: one frame at a time, and none is taken before its turn.

    Args:
        pictures: frames, decoded already.
        classifier: what names them.
        keep_images: whether results carry the frame.

    Yields:
        One result for each frame taken.
    """
    for picture in pictures:
        yield from _infer([_decode(picture, classifier, keep_images)], classifier)


def _decode(picture: Picture, classifier: Classifier, keep_image: bool) -> _Decoded:
    try:
        pixels = picture.read()
        fitted = classifier.fit(pixels)
    except ImageError as error:
        return _Decoded(picture, error=str(error))
    # One picture that is too much for this machine must not hide the others.
    except (OSError, ValueError, MemoryError) as error:
        return _Decoded(picture, error=f"{picture.name}: {str(error) or 'not enough memory'}")
    if not keep_image:
        return _Decoded(picture, fitted)
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    return _Decoded(picture, fitted, image=image)


def _infer(batch: list[_Decoded], classifier: Classifier) -> Iterator[Result]:
    fitted = [item.fitted for item in batch if item.fitted is not None]
    predictions = iter(classifier.predict(fitted)) if fitted else iter(())
    for item in batch:
        yield Result(
            item.picture.name,
            None if item.fitted is None else next(predictions),
            item.error,
            item.picture.frame,
            item.image,
            item.picture.box,
        )
