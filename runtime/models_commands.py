"""`birdedge models`; nothing heavy is imported until one of its commands runs."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .default import default_models, model_in_use
from .stopping import ended_like_interrupted
from .telling import say
from .threads import MAX_THREADS

if TYPE_CHECKING:
    from .installed import Installed

models = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

_MODEL_HELP = "A model bundle's folder; the one in use if not given."

_PerChannel = Annotated[
    tuple[float, float, float],
    typer.Option(
        metavar="R G B",
        show_default="0.5 0.5 0.5",
        help="Of float models, per channel, from 0 to 1.",
    ),
]

_Models = Annotated[
    Path | None,
    typer.Option(
        "--models",
        envvar="BIRDEDGE_MODELS",
        metavar="DIR",
        help="Where `birdedge sync` keeps models; a user's own folder if not given.",
    ),
]


@models.callback()
def _models() -> None:
    """Look at, check and import model bundles; choose among those that sync brought."""


@models.command(name="import")
@ended_like_interrupted()
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
    mean: _PerChannel = (0.5, 0.5, 0.5),
    std: _PerChannel = (0.5, 0.5, 0.5),
    resize_mode: Annotated[str, typer.Option(help="squash, crop or letterbox.")] = "squash",
    color_order: Annotated[str, typer.Option(help="RGB or BGR.")] = "RGB",
    input_size: Annotated[
        int | None, typer.Option(min=1, help="For models that take any size; pixels.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Below this probability it says unknown.")
    ] = 0.5,
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
    for hint, values in {"--mean": preprocess.mean, "--std": preprocess.std}.items():
        wrong = [value for value in values if not 0 <= value <= 1]
        if wrong:
            raise typer.BadParameter(
                f"{wrong[0]:g} is not from 0 to 1; divide by 255 what is meant for pixels from 0 "
                "to 255",
                param_hint=hint,
            )
    folder = import_model(
        model,
        labels,
        out or Path(name or model.stem),
        name=name,
        preprocess=preprocess,
        size=(input_size, input_size) if input_size else None,
        threshold=threshold,
        license_=license_,
        overwrite=force,
    )
    typer.echo(f"birdedge classify SOURCE --model {shlex.quote(str(folder))}", err=True)
    typer.echo(folder)


@models.command(name="list")
def list_command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", help="Where to look; here if not given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    models: _Models = None,
) -> None:
    """List the bundle inside birdedge, those that sync brought, and those in some folders.

    Exit code 1 if one of them cannot be used.
    """
    from .bundle_report import print_bundles
    from .listing import find_bundles

    installed = _installed(models)
    found = find_bundles([*installed.places(), *(folders or [Path()])])
    ok = print_bundles(found, as_json, installed.current().folder.resolve())
    for blocked in installed.state().blocked.values():
        say(f"{blocked.model} is blocked: {blocked.reason}")
    raise typer.Exit(0 if ok else 1)


@models.command()
def use(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Its id or folder's name in `models list`, or inside."
        ),
    ],
    models: _Models = None,
) -> None:
    """Put a model that sync brought to use, or the one inside birdedge.

    A running `birdedge classify --camera` changes over; `birdedge models pin` keeps it.
    """
    from .bundle import ModelBundle

    installed = _installed(models)
    chosen = installed.find(model)
    ModelBundle.load(chosen.folder)
    installed.use(chosen.name)
    typer.echo(chosen.model)


@models.command()
def rollback(
    reason: Annotated[
        str, typer.Option("--reason", help="What is remembered of it.")
    ] = "somebody put it back",
    models: _Models = None,
) -> None:
    """Go back to the model before, and never take the one in use again."""
    installed = _installed(models)
    typer.echo(installed.roll_back(installed.current().digest, reason).model)


@models.command()
def pin(
    off: Annotated[bool, typer.Option("--off", help="Let sync change it again.")] = False,
    models: _Models = None,
) -> None:
    """Keep the model in use, whatever is published."""
    installed = _installed(models)
    with installed.changing() as state:
        state.pinned = not off
    typer.echo(f"{installed.current().model} {'may change' if off else 'stays'}")


@models.command()
def unblock(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Its id.")],
    models: _Models = None,
) -> None:
    """Let a model come again that proved bad here."""
    typer.echo(_installed(models).unblock(model).model)


@models.command()
def info(
    model: Annotated[Path | None, typer.Argument(metavar="BUNDLE", help=_MODEL_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest as JSON.")] = False,
) -> None:
    """Say what a bundle holds."""
    from .bundle import ModelBundle
    from .bundle_report import print_info

    bundle = ModelBundle.load(model or model_in_use())
    if as_json:
        typer.echo(bundle.manifest.model_dump_json(indent=2, exclude_none=True))
    else:
        print_info(bundle)


@models.command()
@ended_like_interrupted()
def verify(
    model: Annotated[Path | None, typer.Argument(metavar="BUNDLE", help=_MODEL_HELP)] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, max=MAX_THREADS)] = 1,
) -> None:
    """Check every file, and run each target's self-test on this machine.

    Exit code 1 if a target fails, or none can run: one whose engine is not installed is passed
    over.
    """
    from .bundle import ModelBundle
    from .bundle_report import verify_targets

    raise typer.Exit(0 if verify_targets(ModelBundle.load(model or model_in_use()), threads) else 1)


def _installed(folder: Path | None) -> "Installed":
    from .installed import Installed

    return Installed(folder or default_models())
