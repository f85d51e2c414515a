"""What watching costs while nothing happens: the share of a core that looking for motion takes.

    python -m birdedge.benchmarks.field

Ten frames a second of 1280 x 720 are looked at, in which nothing moves but the sensor's noise. What
counts
is processor time, of all threads, so that a busy machine changes little; the camera's own decoding
is not in it.
"""

import statistics
import time
from datetime import UTC, datetime
from typing import Annotated

import numpy as np
import typer

from ..runtime.motion import MotionDetector
from ..runtime.sources import Frame

_FPS = 10
_SIZE = (720, 1280)
_WANTED = 0.25


def main(
    rounds: Annotated[int, typer.Option(min=3)] = 5,
    frames: Annotated[int, typer.Option(min=10, help="In each round.")] = 100,
) -> None:
    """Print the share of one core, by rounds and their median."""
    rng = np.random.default_rng(0)
    scene = np.kron(rng.integers(40, 200, (9, 16, 3)), np.ones((80, 80, 1))).astype(np.int16)
    noisy = [
        np.clip(scene + rng.normal(0, 3, (*_SIZE, 3)), 0, 255).astype(np.uint8) for _ in range(8)
    ]
    detector = MotionDetector()
    shares = []
    for turn in range(rounds):
        start = time.process_time()
        for number in range(turn * frames, (turn + 1) * frames):
            pixels = noisy[number % len(noisy)]
            found = detector(Frame(pixels, datetime.now(UTC), "bench", number, number / _FPS))
            assert not found, "the sensor's noise was taken for motion"
        shares.append((time.process_time() - start) / frames * _FPS)
        print(f"round {turn + 1}: {shares[-1]:.1%} of a core at {_FPS} frames a second")
    print(f"median {statistics.median(shares):.1%} (at most {_WANTED:.0%})")


if __name__ == "__main__":
    typer.run(main)
