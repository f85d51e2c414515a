"""What watching costs while nothing moves: all of `birdedge classify --camera`, as in the garden.

    python -m birdedge.benchmarks.watching ../shared/data

A network camera speaks MJPEG over a socket, 1280 x 720, ten frames a second, in which nothing moves
but the sensor's noise. Reading, decoding and looking for motion count, of all threads; starting
does not, for a long watch is held against a short one.
"""

import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import cv2
import numpy as np
import typer

from .camera import MjpegCamera
from .scenes import SCENES, still

_WANTED = 0.25


def main(
    data: Annotated[Path, typer.Argument(help="The folder with scenes/.")],
    seconds: Annotated[float, typer.Option(min=10)] = 60.0,
    rounds: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Print the share of a core, round by round."""
    scene = still(data, *SCENES[0]).astype(np.int16)
    rng = np.random.default_rng(0)
    noisy = (np.clip(scene + rng.normal(0, 3, scene.shape), 0, 255) for _ in range(16))
    camera = MjpegCamera(
        [cv2.imencode(".jpg", pixels.astype(np.uint8)[..., ::-1])[1].tobytes() for pixels in noisy],
        again=True,
    )
    start = 10.0
    for number in range(rounds):
        short, long = (_processor_seconds(camera.url, each) for each in (start, start + seconds))
        share = (long - short) / seconds
        print(f"round {number + 1}: {share:.1%} of a core (at most {_WANTED:.0%})", flush=True)


def _processor_seconds(url: str, seconds: float) -> float:
    """What a watch of so many seconds took from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with TemporaryDirectory() as store:
        watch = [sys.executable, "-m", "birdedge", "classify", "--camera", url, "--store", store]
        subprocess.run([*watch, "--seconds", str(seconds)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    typer.run(main)
