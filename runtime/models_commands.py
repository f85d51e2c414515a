"""`birdedge models`; nothing heavy is imported until one of its commands runs."""

from pathlib import Path
from typing import Annotated

import typer

from .default import DEFAULT_MODEL

models = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

_MODEL_HELP = "A model bundle's folder; the one inside birdedge if not given."


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
