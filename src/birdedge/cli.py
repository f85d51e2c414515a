"""The `birdedge` command: finds the stages' commands and imports one only when it is called."""

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

from . import __version__
from .runtime.errors import BirdedgeError

class Commands(TyperGroup):
    """A group whose members are the entry points of `birdedge.commands`.

    A package that adds an entry point to that group adds a command. The modules that hold commands
    import nothing heavy themselves, so `--help` may load them all.
    """

    def list_commands(self, context: click.Context) -> list[str]:
        """Names of all installed commands."""
        return sorted(point.name for point in _points())

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        for point in _points():
            if point.name == name:
                return _load(point)
        return None


def _points() -> list[EntryPoint]:
    return list(entry_points(group="birdedge.commands"))


def _load(point: EntryPoint) -> click.Command:
    command = point.load()
    built: Any = typer.main.get_command(command)
    built.name = point.name
    return built  # type: ignore[no-any-return]


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"birdedge {__version__}")
        raise typer.Exit


@app.callback()
def _birdedge(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Name birds with small computers: train, compress, classify offline."""


def main() -> None:
    """Run the command line: exit code 0 all well, 1 something failed, 2 wrong usage."""
    try:
        app(prog_name="birdedge")
    except BirdedgeError as error:
        print(f"birdedge: {error}", file=sys.stderr)
        sys.exit(1)
