"""`birdedge train` and `birdedge data`; nothing heavy is imported until one of them runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.extras import needs_extra

train = typer.Typer(add_completion=False, rich_markup_mode=None)
data = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@train.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def train_command(context: typer.Context) -> None:
    """Train a network on photos.

    Settings are Hydra's, such as data=cub100 trainer.epochs=5.
    """
    with needs_extra("train"):
        from .job import main
    # Hydra reads the command line itself, and with it its own --help, --cfg and --multirun.
    sys.argv = ["birdedge train", *context.args]
    main()


@data.callback()
def _data() -> None:
    """Fetch and check the photos to train on."""


@data.command()
def prepare(
    source: Annotated[
        Path, typer.Argument(metavar="ARCHIVE_OR_DIR", help="CUB_200_2011.tgz, or its folder.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to unpack into.")] = Path("data"),
) -> None:
    """Unpack the official CUB-200-2011 archive and check that it is whole."""
    from .prepare import prepare_cub

    folder, photos, classes = prepare_cub(source, out)
    typer.echo(f"{photos:,} photos of {classes} species in {folder}", err=True)
    typer.echo(folder)
