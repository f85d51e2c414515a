"""`birdedge classify`; nothing heavy is imported until it runs."""

import math
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .stopping import INTERRUPTED, ended_like_interrupted, leave
from .threads import MAX_THREADS

if TYPE_CHECKING:
    from .regions import FindRegions


def _place(text: str) -> Path:
    """A path that somebody gave; to pathlib, the empty one of an unset variable is this folder."""
    if not text:
        raise typer.BadParameter("an empty name is no file or folder")
    return Path(text)


classify = typer.Typer(add_completion=False, rich_markup_mode=None)


@classify.command()
def classify_command(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Pictures, folders, globs, videos, http(s):// or rtsp:// addresses, - for stdin.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            parser=_place,
            metavar="<path>",
            envvar="BIRDEDGE_MODEL",
            help="A model bundle's folder; what `birdedge sync` brought, or the one inside "
            "birdedge, if not given.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            parser=_place,
            metavar="<path>",
            help="Names to show instead of the bundle's own: Scientific name (Common name), or "
            "what to call it, a line.",
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            envvar="BIRDEDGE_TARGET",
            help="A target of the bundle; auto measures which is fastest here.",
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            envvar="BIRDEDGE_THREADS",
            min=1,
            max=MAX_THREADS,
            help="Threads per inference; as many as cores, up to 4, if not given.",
        ),
    ] = None,
    top_k: Annotated[
        int, typer.Option("--top-k", "-k", min=1, help="How many species to list.")
    ] = 3,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            envvar="BIRDEDGE_THRESHOLD",
            min=0,
            max=1,
            help="Below this probability say unknown; the bundle's own if not given.",
        ),
    ] = None,
    species: Annotated[
        Path | None,
        typer.Option(
            "--species",
            parser=_place,
            envvar="BIRDEDGE_SPECIES",
            metavar="FILE",
            help="What occurs here: a species a line, alone or with a weight from 0 to 1, or "
            "twelve, January first; * for all others.",
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            "--camera",
            metavar="CAMERA",
            help="Name what moves before it: usb:0 (or 0), picamera, rtsp://..., http://... "
            "(MJPEG), dir:FOLDER (pictures as they come), or a video file.",
        ),
    ] = None,
    whole_frame: Annotated[
        bool,
        typer.Option(
            "--whole-frame",
            help="While something moves, name all of the frame: for a bird that fills up to half "
            "of it.",
        ),
    ] = False,
    zones: Annotated[
        list[str] | None,
        typer.Option(
            "--zone",
            metavar="'X,Y X,Y X,Y...'",
            help="Look for what moves in this polygon alone, from 0,0 (upper left) to 1,1; may be "
            "given again. [env var: BIRDEDGE_ZONES, several between semicolons]",
        ),
    ] = None,
    min_size: Annotated[
        float,
        typer.Option(
            "--min-size",
            envvar="BIRDEDGE_MIN_SIZE",
            metavar="PERCENT",
            min=0.01,
            max=50,
            help="Pass over what moves in less of the frame: insects, rain, leaves. In an --roi, "
            "what fills a tenth of it always counts.",
        ),
    ] = 0.2,
    roi: Annotated[
        str | None,
        typer.Option(
            "--roi",
            metavar="X,Y,W,H",
            help="While something moves in this part of the frame, name all of the part: for a "
            "perch close to the camera; left, top, width, height from 0 to 1. [env var: "
            "BIRDEDGE_ROI]",
        ),
    ] = None,
    every_frame: Annotated[
        bool,
        typer.Option(
            "--every-frame",
            help="Name every frame, or the --roi of it, by itself, moving or not; no visits are "
            "told apart or stored.",
        ),
    ] = False,
    frames: Annotated[
        int | None, typer.Option("--frames", min=1, help="Stop after so many pictures or frames.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.01, help="Stop after so many seconds.")
    ] = None,
    save_frames: Annotated[
        Path | None,
        typer.Option(
            "--save-frames",
            parser=_place,
            metavar="DIR",
            help="Save what was classified as JPEG, numbered on from what lies there.",
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            parser=_place,
            metavar="<path>",
            envvar="BIRDEDGE_STORE",
            help="Keep the visits to a camera in this folder; a user's own if not given.",
        ),
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            "--mqtt",
            envvar="BIRDEDGE_MQTT",
            metavar="URL",
            help="Tell a broker of visits: mqtt://user:password@host/prefix; Home Assistant finds "
            "the last bird there.",
        ),
    ] = None,
    webhooks: Annotated[
        list[str] | None,
        typer.Option(
            "--webhook",
            envvar="BIRDEDGE_WEBHOOK",
            metavar="URL",
            help="Post each visit there as JSON; may be given again.",
        ),
    ] = None,
    max_gigabytes: Annotated[
        float,
        typer.Option(
            "--max-gb",
            envvar="BIRDEDGE_MAX_GB",
            min=0,
            max=1e6,
            help="Of pictures to keep; the oldest go first, but for favourites and the first of "
            "each species.",
        ),
    ] = 4.0,
    max_days: Annotated[
        float,
        typer.Option(
            "--max-days",
            envvar="BIRDEDGE_MAX_DAYS",
            min=0,
            max=36_500,
            help="To keep pictures for, likewise.",
        ),
    ] = 3650.0,
    no_store: Annotated[bool, typer.Option("--no-store", help="Keep nothing.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line instead of a table.")
    ] = False,
) -> None:
    """Name the birds in pictures, videos or camera frames.

    Offline, with the model inside birdedge or any bundle. A bird that visits a camera is named
    once, when it has left; `birdedge sightings` shows who came.

    Exit code 0: all were classified; 1: some could not be read; 2: wrong usage; 130: Ctrl-C.
    """
    from .gather import is_live

    if sources and "" in sources:
        # As of an unset variable; to the file system it would be the current folder.
        raise typer.BadParameter("an empty name is no source", param_hint="SOURCE")
    if not sources and camera is None:
        # Of a service: on the command line all would see the password in an address.
        camera = os.environ.get("BIRDEDGE_CAMERA")
    if camera is None and sources is not None and len(sources) == 1 and is_live(sources[0]):
        camera, sources = sources[0], None
    if not sources and camera is None:
        raise typer.BadParameter("give at least one SOURCE, or --camera 0", param_hint="SOURCE")
    if sources and camera is not None:
        raise typer.BadParameter("--camera takes the place of SOURCE", param_hint="--camera")
    ways = {"--whole-frame": whole_frame, "--zone": bool(zones), "--roi": roi is not None}
    chosen = [way for way, taken in ways.items() if taken]
    if every_frame and zones:
        raise typer.BadParameter("it cannot be had with --zone", param_hint="--every-frame")
    if every_frame and not chosen:
        chosen = ["--every-frame"]
    if chosen and camera is None:
        raise typer.BadParameter("it is about what a --camera sees", param_hint=chosen[0])
    if len(chosen) > 1:
        raise typer.BadParameter(f"it cannot be had with {chosen[0]}", param_hint=chosen[1])

    numbers = {"--seconds": seconds, "--max-gb": max_gigabytes, "--max-days": max_days}
    for hint, number in numbers.items():
        if number is not None and not math.isfinite(number):
            raise typer.BadParameter("it is no number", param_hint=hint)

    find_regions, follow, recording = _where_to_look(
        camera, "0,0,1,1" if whole_frame else roi, zones or [], min_size, every_frame
    )
    # What the environment says is for cameras, and no mistake where there is none.
    of_visits = {
        "--store": "store", "--max-gb": "max_gigabytes", "--max-days": "max_days",
        "--mqtt": "mqtt", "--webhook": "webhooks", "--min-size": "min_size",
    }  # fmt: skip
    given = [
        hint
        for hint, name in of_visits.items()
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given and not follow:
        told = "it is about visits to a --camera"
        if camera is not None:
            way = "--every-frame" if every_frame else "dir:FOLDER"
            told = f"with {way}, each picture is named, and no visits are told apart"
        raise typer.BadParameter(told, param_hint=given[0])
    if "--store" in given and no_store:
        raise typer.BadParameter("--no-store keeps nothing", param_hint="--store")

    from .classify import ClassifyOptions, run
    from .default import default_store

    if not follow or no_store or (recording and "--store" not in given):
        store = None
    else:
        store = store or default_store()
    # A house is not told of a bird that came to another place, or last year.
    if recording and "--mqtt" not in given:
        mqtt = None
    if recording and "--webhook" not in given:
        webhooks = None
    options = ClassifyOptions(
        sources or [], model, labels, target, threads, top_k, threshold, species, camera,
        find_regions, frames, seconds, save_frames, store, max_gigabytes, max_days, mqtt,
        webhooks or [], as_json,
    )  # fmt: skip
    try:
        with ended_like_interrupted([signal.SIGINT]):
            if follow:
                from .watch import watch

                code = watch(options)
            else:
                code = run(options)
    except KeyboardInterrupt:
        code = INTERRUPTED
    leave(code)


def _where_to_look(
    camera: str | None, roi: str | None, zones: list[str], min_size: float, every_frame: bool
) -> "tuple[FindRegions | None, bool, bool]":
    """What finds regions in a camera's frames, all of each if none; whether they are birds that
    are to be followed; and whether it is a recording.
    """
    if camera is None:
        return None, False, False
    from .errors import SourceError
    from .regions import WHOLE_FRAME, MovingPart, parse_region, parse_zone
    from .sources.cameras import kind_of

    try:
        kind = kind_of(camera)
    except SourceError as error:
        raise typer.BadParameter(str(error), param_hint="--camera") from error
    # One picture in a folder is not a moment after another.
    if kind == "dir" and zones:
        raise typer.BadParameter("pictures in a folder are named whole", param_hint="--zone")
    asked = "--roi"
    if roi is None and not zones and kind != "dir":
        # Not by Typer, which would split zones at the spaces in a polygon.
        roi, asked = os.environ.get("BIRDEDGE_ROI") or None, "BIRDEDGE_ROI"
        usual = "" if every_frame else os.environ.get("BIRDEDGE_ZONES", "")
        zones = [zone for zone in usual.split(";") if zone.strip()]
        if roi and zones:
            raise typer.BadParameter("cannot be had with BIRDEDGE_ROI", param_hint="BIRDEDGE_ZONES")
    try:
        part = None if roi is None else parse_region(roi)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=asked) from error
    if every_frame or kind == "dir":
        return part, False, kind == "video"
    try:
        polygons = [parse_zone(zone) for zone in zones]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--zone") from error
    from .motion import MotionDetector

    if part is None:
        return MotionDetector(min_size / 100, polygons), True, kind == "video"
    within = [] if part == WHOLE_FRAME else [part.corners]
    # In a part that is small, nothing might ever be large enough.
    smallest = min(min_size / 100, part.width * part.height / 10)
    return MovingPart(part, MotionDetector(smallest, within)), True, kind == "video"
