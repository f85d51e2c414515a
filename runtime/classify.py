"""What `birdedge classify` does, from sources to printed lines and an exit code."""

import io
import os
import re
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from .classifier import Classifier
from .default import DEFAULT_MODEL, default_models, model_in_use
from .durable import atomic_write
from .errors import BackendError, BirdedgeError, BundleError, ImageError
from .gather import expand, gather, holds_frames, is_live
from .load import load_classifier
from .pipeline import Result, classify_live, classify_pictures
from .printing import JsonLines, Lines, Printer, TableOfResults
from .sources import from_frames
from .telling import say, tell_what_is_logged

if TYPE_CHECKING:
    from .regions import FindRegions

_JPEG_PIXELS = 65_500
"""libjpeg's limit, JPEG_MAX_DIMENSION."""


@dataclass(frozen=True)
class ClassifyOptions:
    """The command's options; see its help."""

    sources: list[str]
    model: Path | None
    labels: Path | None
    target: str
    threads: int | None
    top_k: int
    threshold: float | None
    species: Path | None
    camera: str | None
    find_regions: "FindRegions | None"
    frames: int | None
    seconds: float | None
    save_frames: Path | None
    store: Path | None
    max_gigabytes: float
    max_days: float
    mqtt: str | None
    webhooks: list[str]
    as_json: bool

    def load_classifier(self) -> Classifier:
        """The model that is wanted now; see `load_classifier`.

        If none was named and what sync brought is damaged, the one before it, or the one inside.
        """
        # All files of one bundle, though a link may be pointed elsewhere while they are read.
        folder = self.wanted_model()
        try:
            return self._load(folder)
        except (BundleError, BackendError) as error:
            if self.model is not None or folder == DEFAULT_MODEL:
                raise
            say(f"the model in use is of no use: {error}")
        from .installed import Installed

        for model in Installed(default_models()).to_try():
            if model.folder.resolve() != folder:
                with suppress(BundleError, BackendError):
                    return self._load(model.folder)
        return self._load(DEFAULT_MODEL)

    def wanted_model(self) -> Path:
        """The folder that is wanted now: another one when a link was pointed elsewhere."""
        folder = self.model or model_in_use()
        # Path.resolve would raise where links lead in a circle; loading says it better.
        return Path(os.path.realpath(folder)) if folder.is_symlink() else folder

    def _load(self, folder: Path) -> Classifier:
        return load_classifier(
            folder, self.labels, self.target, self.threads, self.threshold, self.species
        )


def run(options: ClassifyOptions) -> int:
    """Classify everything; returns 0, or 1 if some input failed.

    Raises:
        BirdedgeError: the model or the camera is of no use, or nothing could be saved.
    """
    tell_what_is_logged()
    classifier = options.load_classifier()
    sources = expand(options.sources)
    endless = options.camera is not None or any(holds_frames(source) for source in sources)
    printer = _printer(options, classifier, endless)
    failures = done = 0
    saved = saved_before(options)
    deadline = None if options.seconds is None else time.monotonic() + options.seconds
    with ExitStack() as closing:
        closing.callback(classifier.close)
        results, total = _results(options, sources, endless, classifier, deadline)
        closing.callback(results.close)
        # Lines that scroll by are progress enough.
        scrolling = sys.stdout.isatty() and (options.as_json or endless)
        wanted = total != 1 and not scrolling
        try:
            for result in _with_progress(until(results, deadline), total, wanted=wanted):
                done += 1
                if result.error is not None:
                    failures += 1
                    say(result.error)
                printer.add(result)
                if options.save_frames is not None:
                    try:
                        _save(result, options.save_frames, saved + done)
                    except ImageError as error:
                        failures += 1
                        say(str(error))
        finally:
            printer.finish()
    if failures and done > 1:
        say(f"{failures:,} of {done:,} failed")
    return 1 if failures else 0


def _results(
    options: ClassifyOptions,
    sources: list[str],
    endless: bool,
    classifier: Classifier,
    deadline: float | None,
) -> tuple[Generator[Result, None, None], int | None]:
    """Results yet to be computed, and how many there will be where that can be known."""
    keep = options.save_frames is not None
    if options.camera is not None:
        # They need libraries that pictures do not, and time.
        from .regions import pictures_of
        from .sources.cameras import camera_frames

        frames = islice(camera_frames(options.camera, options.seconds), options.frames)
        find = options.find_regions
        pictures = from_frames(frames) if find is None else pictures_of(frames, find)
        return classify_live(pictures, classifier, keep_images=keep), None
    pictures = islice(gather(sources, deadline, options.sources), options.frames)
    if any(is_live(source) for source in sources):
        return classify_live(pictures, classifier, keep_images=keep), None
    if endless:
        return classify_pictures(pictures, classifier, keep_images=keep), None
    # Listed beforehand, files can be counted, and a progress bar can say how long it will take.
    listed = list(pictures)
    return classify_pictures(listed, classifier, keep_images=keep), len(listed)


def until(results: Iterator[Result], deadline: float | None) -> Iterator[Result]:
    """Results until `time.monotonic` has come to a deadline; at least one.

    One that comes later is left out: that it could not be waited for is no failure.
    """
    none_yet = True
    for result in results:
        if none_yet or deadline is None or time.monotonic() < deadline:
            yield result
        none_yet = False
        # Asked again, for the next one may take long.
        if deadline is not None and time.monotonic() >= deadline:
            return


def _printer(options: ClassifyOptions, classifier: Classifier, endless: bool) -> Printer:
    if options.as_json:
        return JsonLines(classifier.bundle.manifest.id, options.top_k)
    if endless:
        return Lines(options.top_k)
    return TableOfResults(options.top_k) if sys.stdout.isatty() else Lines(options.top_k)


def _with_progress(
    results: Iterator[Result], total: int | None, *, wanted: bool
) -> Iterator[Result]:
    """Show how far the work has come, where a person is looking at the terminal."""
    if not wanted or not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console
    from rich.progress import Progress

    # Of its own accord it would send what is printed to the terminal, even where it goes to a file.
    console = Console(stderr=True)
    with Progress(console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("classifying", total=total)
        for result in results:
            progress.advance(task)
            yield result


def _save(result: Result, folder: Path, number: int) -> None:
    if result.prediction is not None and result.image is not None:
        save_picture(result.image, folder, number, result.name, result.prediction.name)


def saved_before(options: ClassifyOptions) -> int:
    """What is numbered on from: earlier pictures stay, whatever they were of.

    Were numbers given anew, one would stand for the old picture and, named otherwise, for the new.
    """
    return 0 if options.save_frames is None else highest_number(options.save_frames)


def highest_number(folder: Path) -> int:
    """Of the pictures that `save_picture` has left in a folder; 0 if there are none."""
    found = (re.match(r"(\d{6,})-", path.name) for path in folder.glob("*-*.jpg"))
    return max((int(match[1]) for match in found if match), default=0)


def save_picture(image: Image.Image, folder: Path, number: int, source: str, species: str) -> None:
    """Save what was classified, whole or not at all, named by order, source and species.

    Raises:
        ImageError: the picture is larger than a JPEG can be.
        BirdedgeError: the folder cannot be written to.
    """
    parts = (f"{number:06d}", Path(source).stem, species)
    # File systems take no name of more than 255 bytes.
    name = "-".join(re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_")[:100] for part in parts)
    if max(image.size) > _JPEG_PIXELS:
        # Left to itself, libjpeg says so on standard error, in its own words.
        raise ImageError(
            f"{source}: cannot be saved as JPEG, which has {_JPEG_PIXELS:,} pixels a side at most"
        )
    content = io.BytesIO()
    try:
        image.save(content, "jpeg", quality=92)
    except OSError as error:
        raise ImageError(f"{source}: cannot be saved as JPEG ({error})") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / f"{name}.jpg") as draft:
            draft.write_bytes(content.getvalue())
    except FileExistsError as error:
        raise BirdedgeError(f"cannot save to {folder}: it is a file, no folder") from error
    except OSError as error:
        raise BirdedgeError(f"cannot save to {folder}: {error.strerror}") from error
