"""What `birdedge classify --camera` does where birds move: a line and a sighting for each visit."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import chain
from pathlib import Path

from PIL import Image

from .classify import ClassifyOptions, save_picture, saved_before
from .default import default_models
from .errors import BirdedgeError
from .installed import Installed
from .live import LiveClassifier
from .notify import Notifier
from .overseer import Overseer, service_of
from .regions import MovingPart
from .sightings.pictures import Budget
from .sightings.recorder import Recorder
from .sources import Frame, Lost
from .sources.cameras import is_recording, watch_camera
from .stopping import INTERRUPTED, stopped_by_signals
from .supervision import Supervisor
from .telling import say, tell_what_is_logged
from .visit_lines import VisitJson, VisitLines, VisitPrinter
from .visits import Visit
from .watcher import Watcher


def watch(options: ClassifyOptions) -> int:
    """Name the birds that visit a camera; returns 0, or 130 after Ctrl-C.

    At a signal the visits under way are ended and kept. Where the model is a link that is pointed
    elsewhere meanwhile, the birds that come from then on are named by the other model.

    Raises:
        BirdedgeError: the model, the camera or the store is of no use.
    """
    assert options.camera is not None
    tell_what_is_logged()
    chosen = options.model is None and not is_recording(options.camera)
    with service_of(Installed(default_models()) if chosen else None) as installed:
        return _watch(options, installed)


def _watch(options: ClassifyOptions, installed: Installed | None) -> int:
    assert options.camera is not None and options.find_regions is not None
    classifier = LiveClassifier(options.load_classifier, options.wanted_model)
    printer: VisitPrinter = (
        VisitJson(options.top_k)
        if options.as_json
        else VisitLines(options.top_k, by_clock=not is_recording(options.camera))
    )
    with ExitStack() as closing_:
        closing_.callback(classifier.close)
        stop = closing_.enter_context(stopped_by_signals())
        moments = closing_.enter_context(
            closing(watch_camera(options.camera, options.seconds, stop))
        )
        # Nothing is begun for a camera that is not there.
        first = [moment for moment in _up_to(1, moments) if isinstance(moment, Frame)]
        told = _told(options, closing_)
        saved = saved_before(options)
        count = 0
        unread: OSError | None = None
        watched: Iterator[Frame | Lost] = _up_to(options.frames, chain(first, moments))
        inferred = None
        if installed is not None:
            overseer = Overseer(installed, classifier.now)
            closing_.callback(overseer.close)
            told.append(overseer)
            watched = overseer.watched(watched)
            inferred = overseer.inferred
        if not is_recording(options.camera):
            watched = _supervised(watched, lambda: count)
        one_place = isinstance(options.find_regions, MovingPart)
        watcher = Watcher(
            classifier.now, options.find_regions, inferred=inferred, one_place=one_place
        )
        for visit in watcher.visits(watched):
            for each in told:
                each.take(visit)
            if visit.ended:
                count += 1
                if unread is None:
                    try:
                        printer.add(visit)
                    except OSError as error:
                        # Nobody reads any more; the visits under way are ended and kept.
                        unread = error
                        stop.set()
                if options.save_frames is not None:
                    _save(visit, options.save_frames, saved + count)
        if unread is not None:
            raise unread
    return INTERRUPTED if stop.by == signal.SIGINT else 0


def _save(visit: Visit, folder: Path, number: int) -> None:
    """Save a visit's picture; a disk that is full does not end the watching."""
    try:
        picture = Image.fromarray(visit.best.pixels)
        save_picture(picture, folder, number, visit.source, visit.prediction.name)
    except BirdedgeError as error:
        say(str(error))


def _up_to(count: int | None, moments: Iterable[Frame | Lost]) -> Iterator[Frame | Lost]:
    """Moments until there were so many frames; all where no count is given."""
    frames = 0
    for moment in moments:
        yield moment
        frames += isinstance(moment, Frame)
        if frames == count:
            return


def _supervised(
    moments: Iterable[Frame | Lost], count: Callable[[], int]
) -> Iterator[Frame | Lost]:
    """Moments, of which systemd is told: who asks for the next has done with the last."""
    supervisor = Supervisor()
    frames = taken = 0
    for moment in moments:
        if isinstance(moment, Frame):
            frames, taken = moment.number + 1, taken + 1
        lost = "the camera is lost; " if isinstance(moment, Lost) else ""
        left_out = f", {frames - taken:,} left out" if frames > taken else ""
        supervisor.alive(f"{lost}{count():,} visits, {taken:,} frames{left_out}")
        yield moment
    supervisor.stopping()


def _told(options: ClassifyOptions, closing_: ExitStack) -> list[Notifier]:
    """Who is told of visits: the store, a broker, webhooks; each is closed at the end."""
    told: list[Notifier] = []
    if options.store is not None:
        budget = Budget(int(options.max_gigabytes * 1e9), options.max_days)
        told.append(Recorder(options.store, budget))
        say(f"sightings are kept in {options.store}")
    if options.mqtt is not None:
        from .notify.mqtt import Mqtt

        told.append(Mqtt(options.mqtt))
    for url in options.webhooks:
        from .notify.webhook import Webhook

        told.append(Webhook(url))
    for each in told:
        closing_.callback(each.close)
    return told
