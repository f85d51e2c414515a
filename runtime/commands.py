"""`birdedge classify` and `birdedge models`; nothing heavy is imported until one of them runs."""

import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .default import DEFAULT_MODEL

if TYPE_CHECKING:
    from .regions import FindRegions

classify = typer.Typer(add_completion=False, rich_markup_mode=None)
models = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it."""

_MODEL_HELP = "A model bundle's folder; the one inside birdedge if not given."


@classify.command()
def classify_command(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Pictures, folders, globs, videos, http(s):// or rtsp:// addresses, - for stdin.",
        ),
    ] = None,
    model: Annotated[
        Path,
        typer.Option(
            "--model", "-m", envvar="BIRDEDGE_MODEL", help=_MODEL_HELP, show_default=False
        ),
    ] = DEFAULT_MODEL,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Names to show instead of the bundle's own.")
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
        bool, typer.Option("--whole-frame", help="Name all of every frame, not what moves in it.")
    ] = False,
    zones: Annotated[
        list[str] | None,
        typer.Option(
            "--zone",
            metavar="'X,Y X,Y X,Y...'",
            help="Look for what moves in this polygon alone, from 0,0 (upper left) to 1,1; may be "
            "given again.",
        ),
    ] = None,
    roi: Annotated[
        str | None,
        typer.Option(
            "--roi",
            metavar="X,Y,W,H",
            help="Name this part of every frame, moving or not; from 0 to 1.",
        ),
    ] = None,
    frames: Annotated[
        int | None, typer.Option("--frames", min=1, help="Stop after so many pictures or frames.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.01, help="Stop after so many seconds.")
    ] = None,
    save_frames: Annotated[
        Path | None,
        typer.Option("--save-frames", metavar="DIR", help="Save what was classified as JPEG."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line instead of a table.")
    ] = False,
) -> None:
    """Name the birds in pictures, videos or camera frames.

    Offline, with the model inside birdedge or any bundle.

    Exit code 0: all were classified; 1: some could not be read; 2: wrong usage; 130: Ctrl-C.
    """
    from .gather import is_live

    if camera is None and sources is not None and len(sources) == 1 and is_live(sources[0]):
        camera, sources = sources[0], None
    if not sources and camera is None:
        raise typer.BadParameter("give at least one SOURCE, or --camera 0", param_hint="SOURCE")
    if sources and camera is not None:
        raise typer.BadParameter("--camera takes the place of SOURCE", param_hint="--camera")
    ways = {"--whole-frame": whole_frame, "--zone": bool(zones), "--roi": roi is not None}
    chosen = [way for way, taken in ways.items() if taken]
    if chosen and camera is None:
        raise typer.BadParameter("it is about what a --camera sees", param_hint=chosen[0])
    if len(chosen) > 1:
        raise typer.BadParameter(f"it cannot be had with {chosen[0]}", param_hint=chosen[1])

    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter("it is a number of seconds", param_hint="--seconds")

    find_regions = _where_to_look(camera, whole_frame, zones or [], roi)

    from .classify import ClassifyOptions, run

    options = ClassifyOptions(
        sources or [], model, labels, target, threads, top_k, threshold, camera, find_regions,
        frames, seconds, save_frames, as_json,
    )  # fmt: skip
    try:
        raise typer.Exit(run(options))
    except KeyboardInterrupt:
        # All is closed by now. A normal exit would still wait for a download that hangs.
        sys.stdout.flush()
        os._exit(INTERRUPTED)


def _where_to_look(
    camera: str | None, whole_frame: bool, zones: list[str], roi: str | None
) -> "FindRegions | None":
    """What finds regions in a camera's frames; None where all of each is named."""
    if camera is None:
        return None
    from .errors import SourceError
    from .regions import parse_region, parse_zone
    from .sources.cameras import kind_of

    try:
        kind = kind_of(camera)
    except SourceError as error:
        raise typer.BadParameter(str(error), param_hint="--camera") from error
    try:
        if roi is not None:
            return parse_region(roi)
        polygons = [parse_zone(zone) for zone in zones]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--zone" if zones else "--roi") from error
    # One picture in a folder is not a moment after another.
    if kind == "dir" and polygons:
        raise typer.BadParameter("pictures in a folder are named whole", param_hint="--zone")
    if whole_frame or kind == "dir":
        return None
    from .motion import MotionDetector

    return MotionDetector(zones=polygons)


@models.callback()
def _models() -> None:
    """Look at, check and import model bundles."""


@models.command(name="import")
def import_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .tflite or .onnx classifier.")],
    labels: Annotated[
        Path,
        typer.Option("--labels", help="Its species: Scientific name (Common name) a line."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The bundle's folder; ./NAME if not given.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The bundle's id; the file's name if not given.")
    ] = None,
    mean: Annotated[
        tuple[float, float, float], typer.Option(help="Of float models, per channel, from 0 to 1.")
    ] = (0.5, 0.5, 0.5),
    std: Annotated[
        tuple[float, float, float], typer.Option(help="Of float models, per channel, from 0 to 1.")
    ] = (0.5, 0.5, 0.5),
    resize_mode: Annotated[str, typer.Option(help="squash, crop or letterbox.")] = "squash",
    color_order: Annotated[str, typer.Option(help="RGB or BGR.")] = "RGB",
    input_size: Annotated[
        int | None, typer.Option(min=1, help="For models that take any size; pixels.")
    ] = None,
    license_: Annotated[
        str, typer.Option("--license", help="What the model may be used for.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing bundle.")] = False,
) -> None:
    """Make a bundle of somebody else's model."""
    from pydantic import ValidationError

    from .importer import import_model
    from .preprocess import Preprocess

    try:
        preprocess = Preprocess.model_validate(
            {"mean": mean, "std": std, "resize_mode": resize_mode, "color_order": color_order}
        )
    except ValidationError as error:
        first = error.errors()[0]
        hint = "--" + str(first["loc"][0]).replace("_", "-")
        raise typer.BadParameter(str(first["msg"]), param_hint=hint) from error
    folder = import_model(
        model,
        labels,
        out or Path(name or model.stem),
        name=name,
        preprocess=preprocess,
        size=(input_size, input_size) if input_size else None,
        license_=license_,
        overwrite=force,
    )
    typer.echo(f"birdedge classify SOURCE --model {folder}", err=True)
    typer.echo(folder)


@models.command(name="list")
def list_command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER]...", help="Where to look; here if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the bundle inside birdedge and those in some folders.

    Exit code 1 if one of them cannot be used.
    """
    from .bundle_report import print_bundles
    from .listing import find_bundles

    found = find_bundles(folders or [Path()])
    raise typer.Exit(0 if print_bundles(found, as_json) else 1)


@models.command()
def info(
    model: Annotated[Path, typer.Argument(metavar="BUNDLE", help=_MODEL_HELP)] = DEFAULT_MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest as JSON.")] = False,
) -> None:
    """Say what a bundle holds."""
    from .bundle import ModelBundle
    from .bundle_report import print_info

    bundle = ModelBundle.load(model)
    if as_json:
        typer.echo(bundle.manifest.model_dump_json(indent=2, exclude_none=True))
    else:
        print_info(bundle)


@models.command()
def verify(
    model: Annotated[Path, typer.Argument(metavar="BUNDLE", help=_MODEL_HELP)] = DEFAULT_MODEL,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
) -> None:
    """Check every file, and run each target's self-test on this machine.

    Exit code 1 if a target fails; one whose engine is not installed is passed over.
    """
    from .bundle import ModelBundle
    from .bundle_report import verify_targets

    raise typer.Exit(0 if verify_targets(ModelBundle.load(model), threads) else 1)
