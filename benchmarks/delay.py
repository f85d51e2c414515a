"""From the camera to the sighting: how long what is seen takes to be told and kept.

    python -m birdedge.benchmarks.delay ../shared/data

Composed birds come to a network camera that speaks MJPEG over a socket, as fast as they would live:
read, decoded, watched, named and kept as by `birdedge classify --camera`. Each frame
has its number in it, so a delay begins when the camera began to send that frame; whatever waits on
the way counts.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import cv2
import numpy as np
import typer

from ..runtime.load import load_classifier
from ..runtime.motion import MotionDetector
from ..runtime.sightings.database import NAME
from ..runtime.sightings.recorder import Recorder
from ..runtime.sources import Frame, Lost
from ..runtime.sources.cameras import watch_camera
from ..runtime.watcher import Watcher
from .camera import FPS, MjpegCamera
from .field import seconds_of_inference
from .footage import Footage, Pixels
from .scenes import SCENES, guests, still

_BITS, _SIDE = 16, 24
_ABOVE_THE_NUMBER = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.95), (0.0, 0.95)]
"""Where birds are looked for: the number below changes with every frame."""


def main(
    data: Annotated[Path, typer.Argument(help="The folder with cub100/ and scenes/.")],
    birds: Annotated[int, typer.Option(min=4)] = 12,
    seed: int = 0,
) -> None:
    """Print how soon birds are named, and how soon their sighting can be read."""
    classifier = load_classifier()
    coming = guests(data / "cub100" / "test", birds, birds, np.random.default_rng(seed))
    seconds = coming[-1].start + coming[-1].seconds + 8
    footage = Footage(still(data, *SCENES[0]), coming, seconds, FPS, seed=seed)
    camera = MjpegCamera(
        [
            cv2.imencode(".jpg", _numbered(pixels, number)[..., ::-1])[1].tobytes()
            for number, (_, pixels, _) in enumerate(footage.frames())
        ]
    )
    current = -1
    named, kept = [], []

    def followed(moments: Iterator[Frame | Lost]) -> Iterator[Frame | Lost]:
        nonlocal current
        for moment in moments:
            if isinstance(moment, Lost):
                return  # the footage is over
            current = _number_in(moment.pixels)
            yield moment

    with TemporaryDirectory() as store, closing(watch_camera(camera.url)) as moments:
        recorder = Recorder(Path(store))
        watcher = Watcher(lambda _: classifier, MotionDetector(zones=[_ABOVE_THE_NUMBER]))
        for visit in watcher.visits(followed(moments)):
            recorder.take(visit)
            began = camera.sent[current]
            if not visit.ended:
                named.append(time.monotonic() - began)
            else:
                _wait_for(Path(store), visit.id)
                kept.append(time.monotonic() - began)
        recorder.close()
    if current < len(camera.sent) - 1 or not kept:
        typer.echo("the camera was lost on the way, or nobody came", err=True)
        raise typer.Exit(1)
    wanted = 2 * seconds_of_inference(classifier) + 0.2
    for what, delays in (("named", named), ("kept, once it left", kept)):
        median, late = (1000 * float(np.percentile(delays, share)) for share in (50, 95))
        print(f"{what:<20}{len(delays):4} times  median {median:4.0f} ms  p95 {late:4.0f} ms")
    print(f"wanted: p95 at most {1000 * wanted:.0f} ms (two inferences and 200 ms)")


def _wait_for(store: Path, visit: str) -> None:
    """Until another program can read a visit's row with its name."""
    with closing(sqlite3.connect(f"file:{store / NAME}?mode=ro", uri=True)) as database:
        while not database.execute(
            "SELECT 1 FROM sightings WHERE id = ? AND ended", (visit,)
        ).fetchone():
            time.sleep(0.001)


def _numbered(pixels: Pixels, number: int) -> Pixels:
    """A frame with its number in the lower left corner, as black and white squares."""
    for bit in range(_BITS):
        left = bit * _SIDE
        pixels[-_SIDE:, left : left + _SIDE] = 255 * (number >> bit & 1)
    return pixels


def _number_in(pixels: Pixels) -> int:
    squares = pixels[-_SIDE:, : _BITS * _SIDE].reshape(_SIDE, _BITS, _SIDE, 3)
    return sum(1 << bit for bit in range(_BITS) if squares[:, bit].mean() > 127)


if __name__ == "__main__":
    typer.run(main)
