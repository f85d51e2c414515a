"""What a swap of the model costs who is before the camera."""

import math
import statistics
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from ...runtime.classifier import Classifier
from ...runtime.default import CURRENT
from ...runtime.installed import Installed
from ...runtime.live import LiveClassifier
from ...runtime.load import load_classifier
from ...runtime.motion import MotionDetector
from ...runtime.sources import Frame
from ...runtime.sources.ahead import read_newest
from ...runtime.watcher import Watcher
from ..footage import Bird, Footage
from .keeper import release_of_inside, tell_machine

_WARM_UP_SECONDS = 2.0
"""The first inference and the first look for motion are slow, whichever model is wanted."""

_BESIDE_A_SWAP_SECONDS = 1.0
"""A gap this close to a swap may be the swap's; loading the other model takes a tenth of it."""


def swap(
    seconds: Annotated[float, typer.Option(min=4, help="Of each run.")] = 60.0,
    rounds: Annotated[int, typer.Option(min=1, help="Runs without and with swaps.")] = 3,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds until another is wanted.")] = 3.0,
    crowded: Annotated[
        bool, typer.Option(help="Load at once, as where birds never leave.")
    ] = False,
    fps: float = 10.0,
) -> None:
    """Frames that a swap of the model costs a camera, and how long naming pauses for it.

    Birds come and go before a camera of 1280 x 720; who is there at a swap keeps its model. Another
    one is loaded in a moment when nothing moves, of which there is one in eight seconds.
    """
    longest_wait = 0.0 if crowded else math.inf
    tell_machine()
    clip = _clip(fps)
    totals = {False: _Run(), True: _Run()}
    with TemporaryDirectory() as place:
        installed = Installed(Path(place))
        names = ("one", "two")
        for name in names:
            release_of_inside(installed.folder / name, name)
        for turn in range(rounds):
            # Taking turns, so that a busy machine slows both alike.
            for swapped in (False, True):
                installed.use(names[0])
                run = _watch(
                    installed, clip, seconds, fps, every if swapped else None, longest_wait
                )
                print(f"round {turn + 1}, {'with swaps' if swapped else 'without'}: {run}")
                totals[swapped] += run
    without, with_ = totals[False], totals[True]
    inference = statistics.median(without.inferences)
    print(f"one inference: {1000 * inference:.1f} ms")
    print(
        f"frames lost in {with_.takeovers} swaps: {with_.lost - without.lost:+d} beyond the "
        f"{without.lost} of as many frames without swaps (wanted 0)"
    )
    elsewhere = max(without.gaps + with_.gaps)
    pause = max(with_.gaps_at_swaps) - elsewhere
    print(
        f"longest of {len(with_.gaps_at_swaps)} gaps between two frames within "
        f"{_BESIDE_A_SWAP_SECONDS:.0f} s of a swap: {1000 * max(with_.gaps_at_swaps):.0f} ms, "
        f"{1000 * pause:+.1f} beyond the longest elsewhere, {1000 * elsewhere:.0f} ms (at most "
        f"{1000 * inference:+.1f})"
    )
    print(f"longest wait for the model of the moment: {1000 * max(with_.waits):.2f} ms")


@dataclass
class _Run:
    """What became of a camera's frames.

    Attributes:
        frames: that the camera gave.
        lost: those that nobody took before the next one came.
        takeovers: how often another model began to name birds.
        gaps: seconds between two frames that were done with, far from any swap.
        gaps_at_swaps: likewise, within a second of a swap.
        inferences: seconds of each.
        waits: seconds until it was known which model names the birds.
    """

    frames: int = 0
    lost: int = 0
    takeovers: int = 0
    gaps: list[float] = field(default_factory=list)
    gaps_at_swaps: list[float] = field(default_factory=list)
    inferences: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __add__(self, other: "_Run") -> "_Run":
        return _Run(
            self.frames + other.frames, self.lost + other.lost, self.takeovers + other.takeovers,
            self.gaps + other.gaps, self.gaps_at_swaps + other.gaps_at_swaps,
            self.inferences + other.inferences, self.waits + other.waits,
        )  # fmt: skip

    def __str__(self) -> str:
        gaps = []
        # In a short run all may lie beside a swap, or none.
        if self.gaps:
            gaps.append(f"p99 {1000 * float(np.percentile(self.gaps, 99)):.0f} ms")
            gaps.append(f"longest {1000 * max(self.gaps):.0f} ms")
        if self.gaps_at_swaps:
            gaps.append(f"at a swap {1000 * max(self.gaps_at_swaps):.0f} ms")
        return (
            f"{self.lost} of {self.frames} frames lost, {self.takeovers} swaps, gaps "
            f"{', '.join(gaps)}; {len(self.inferences)} inferences"
        )


def _watch(
    installed: Installed, clip: Sequence[NDArray[np.uint8]], seconds: float, fps: float,
    every: float | None, longest_wait: float,
) -> _Run:  # fmt: skip
    """Watch a camera as the service does, while the model in use is another one every so often."""
    run = _Run(frames=int(seconds * fps))
    link = installed.folder / CURRENT
    live = LiveClassifier(
        lambda: load_classifier(link.resolve()), link.resolve, longest_wait=longest_wait
    )
    over = Event()
    naming = live.now().bundle.manifest.id
    done: list[tuple[int, float]] = []
    swaps: list[float] = []

    def camera() -> Generator[Frame, None, None]:
        begin = time.monotonic()
        for number in range(run.frames):
            time.sleep(max(0.0, begin + number / fps - time.monotonic()))
            pixels = cv2.imdecode(clip[number % len(clip)], cv2.IMREAD_COLOR)
            yield Frame(
                np.asarray(pixels, np.uint8), datetime.now(UTC), "camera", number, number / fps
            )

    def handled(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            yield frame
            # Who asks for the next one has done with this one.
            done.append((frame.number, time.monotonic()))

    def now(alone: bool) -> Classifier:
        nonlocal naming
        begin = time.perf_counter()
        classifier = live.now(alone)
        run.waits.append(time.perf_counter() - begin)
        if classifier.bundle.manifest.id != naming:
            swaps.append(time.monotonic())
        naming = classifier.bundle.manifest.id
        return classifier

    def swap_in() -> None:
        for name in cycle(("two", "one")):
            if over.wait(every):
                return
            installed.use(name)

    swapping = Thread(target=swap_in)
    swapping.start()
    try:
        watcher = Watcher(
            now, MotionDetector(), inferred=lambda _, took: run.inferences.append(took)
        )
        for _ in watcher.visits(handled(read_newest(camera()))):
            pass
    finally:
        over.set()
        swapping.join()
        live.close()
    run.lost = run.frames - len(done)
    run.takeovers = len(swaps)
    times = [when for number, when in done if number / fps >= _WARM_UP_SECONDS]
    for begin, end in pairwise(times):
        beside = any(
            begin - _BESIDE_A_SWAP_SECONDS <= moment <= end + _BESIDE_A_SWAP_SECONDS
            for moment in swaps
        )
        (run.gaps_at_swaps if beside else run.gaps).append(end - begin)
    return run


def _clip(fps: float) -> list[NDArray[np.uint8]]:
    """JPEGs of a scene in which two birds come and go, to be seen over and over."""
    rng = np.random.default_rng(0)
    colours = rng.integers(90, 160, (9, 16, 3), dtype=np.uint8)
    scene = cv2.resize(colours, (1280, 720), interpolation=cv2.INTER_CUBIC)
    photo = np.full((200, 200, 3), (200, 30, 40), np.uint8)
    cv2.circle(photo, (70, 70), 40, (20, 20, 20), -1)
    cv2.line(photo, (90, 110), (190, 150), (240, 240, 240), 12)
    there = [(0.1, 0.3), (0.4, 0.7), (0.7, 0.3), (0.9, 0.6)]
    birds = [
        Bird("drawn", photo, start, 4.0, path)
        for start, path in ((0.5, there), (3.0, [(x, 1 - y) for x, y in reversed(there)]))
    ]
    footage = Footage(np.asarray(scene, np.uint8), birds, seconds=8.0, fps=fps)
    return [
        np.asarray(cv2.imencode(".jpg", pixels)[1], np.uint8) for _, pixels, _ in footage.frames()
    ]
