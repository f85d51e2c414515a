"""Contenders' answers to photos: all to the same ones, through the device's own preprocessing."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..runtime.errors import DataError
from ..runtime.manifest import Manifest
from ..runtime.preprocess import Preprocess, read_image
from .contenders import Contender
from .corruptions import corrupted
from .photos import Photos
from .worker import Answer
from .worker.process import Worker, WorkerError

Key = tuple[str, str]
"""A model's id and its target: what answers alike whatever the threads."""

Logits = NDArray[np.float32]
Change = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Examination:
    """Asks contenders, each in a process of its own, with one thread, on one core.

    Attributes:
        contenders: one for each model and target.
        manifests: by the models' ids.
        work: a folder for what passes between processes.
        timeout: seconds in which sixteen pictures must be answered.
        tell: is told how far it is.
        stop: set, no further contender is begun.
    """

    contenders: Sequence[Contender]
    manifests: Mapping[str, Manifest]
    work: Path
    timeout: float
    tell: Callable[[str], object]
    stop: Event

    def ask(self, photos: Photos, change: Change | None = None) -> dict[Key, Logits | str]:
        """Have all answer photos.

        Args:
            photos: to be answered; decoded once for all models that take them alike.
            change: what is done to each photo first.

        Returns:
            Logits ``[photos, classes]``, or why there are none.

        Raises:
            ImageError: a photo cannot be read.
            DataError: there is no space for them in the folder.
        """
        fitted: dict[str, Path] = {}
        for contender in self.contenders:
            preprocess = self.manifests[contender.model].preprocess
            if _kind(preprocess) not in fitted:
                self.tell(f"decoding {len(photos.paths):,} photos")
                path = self.work / f"pictures-{len(fitted)}.npy"
                fitted[_kind(preprocess)] = path
                self._fit(photos, preprocess, path, change)
        cores: SimpleQueue[int] = SimpleQueue()
        for core in sorted(os.sched_getaffinity(0)):
            cores.put(core)

        def ask_one(contender: Contender) -> Logits | str:
            core = cores.get()
            try:
                kind = _kind(self.manifests[contender.model].preprocess)
                return self._ask_one(contender, fitted[kind], core)
            finally:
                cores.put(core)

        with ThreadPoolExecutor(cores.qsize()) as pool:
            given = list(pool.map(ask_one, self.contenders))
        keys = [(contender.model, contender.target) for contender in self.contenders]
        return dict(zip(keys, given, strict=True))

    def _ask_one(self, contender: Contender, pictures: Path, core: int) -> Logits | str:
        if self.stop.is_set():
            return "interrupted"
        answered = self.work / f"logits-{core}.npy"
        count = len(np.load(pictures, mmap_mode="r"))
        try:
            worker = Worker(replace(contender, threads=1, batch=1), self.timeout, frozenset({core}))
            try:
                worker.ask(Answer(pictures, answered), partial(self._go_on, contender.name, count))
                return np.asarray(np.load(answered, allow_pickle=False), np.float32)
            finally:
                worker.close()
        except WorkerError as error:
            return str(error)

    def _fit(
        self, photos: Photos, preprocess: Preprocess, out: Path, change: Change | None
    ) -> None:
        shape = (len(photos.paths), *preprocess.input_size, 3)
        try:
            pictures = np.lib.format.open_memmap(out, "w+", np.uint8, shape)
            # Writing into a hole of a file on a full disk would end the process.
            with out.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, out.stat().st_size)
        except OSError as error:
            raise DataError(f"cannot decode photos into {out.parent}: {error.strerror}") from error

        def fit(number: int) -> None:
            if not self.stop.is_set():
                image = read_image(photos.paths[number])
                pictures[number] = preprocess.fit(change(image) if change else image)

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(fit, range(len(photos.paths))))
        pictures.flush()

    def _go_on(self, name: str, count: int, done: int) -> None:
        if self.stop.is_set():
            raise WorkerError("interrupted")
        self.tell(f"{name}: {done:,} of {count:,}")


def corruption(kind: str, severity: int) -> Change:
    """A change that makes photos worse; see `corruptions`."""
    return partial(corrupted, kind=kind, severity=severity)


def _kind(preprocess: Preprocess) -> str:
    """What differs between models that take photos cut differently; normalising comes later."""
    return preprocess.model_dump_json(exclude={"mean", "std"})
