"""The `birdedge` command: finds the stages' commands and imports one only when it is called."""

import atexit
import gc
import io
import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from . import __version__
from .runtime import plugins
from .runtime.errors import BirdedgeError, one_line

_STDOUT = "standard output"


class Commands(TyperGroup):
    """A group whose members are the entry points of `birdedge.commands`.

    A package that adds an entry point to that group adds a command. The modules that hold commands
    import nothing heavy themselves, so `--help` may load them all.
    """

    def list_commands(self, context: Any) -> list[str]:
        """Names of all installed commands."""
        return plugins.names("birdedge.commands")

    def get_command(self, context: Any, name: str) -> Any:
        """Import one command, or say that there is none."""
        point = plugins.find("birdedge.commands", name)
        if point is None:
            return None
        command = typer.main.get_command(point.load())
        command.name = name
        return command


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
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
    # Looking for plugins, Pydantic reads the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")
    # Nor is there any to look for at the end.
    atexit.register(gc.freeze)
    _open_stderr()
    try:
        _open_stdout()
        try:
            app(prog_name="birdedge")
        finally:
            sys.stdout.flush()
    except BirdedgeError as error:
        _end(str(error))
    except OSError as error:
        if error.filename == _STDOUT:
            # The interpreter would try again as it ends, and fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            _end(f"cannot write to {_STDOUT}: {error.strerror}")
        _end(str(error))


def _open_stderr() -> None:
    """Where standard error is closed, say things into nothing: results matter more."""
    if sys.stderr is None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != 2:
            os.dup2(nowhere, 2)
            os.close(nowhere)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)


def _open_stdout() -> None:
    """Make sure that any file's name can be written to standard output, or its failure named.

    Raises:
        OSError: it is closed.
    """
    if sys.stdout is None:
        raise OSError("standard output is closed")
    # Not what stands in for it, as in tests.
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        raw = _StandardOutput(sys.stdout.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(
            # Unbuffered, where that is wanted.
            raw if sys.stdout.write_through else io.BufferedWriter(raw),
            encoding=sys.stdout.encoding,
            errors="backslashreplace",
            line_buffering=sys.stdout.line_buffering,
            write_through=sys.stdout.write_through,
        )


class _StandardOutput(io.FileIO):
    """Its errors say what could not be written to; a disk may be full elsewhere."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = _STDOUT
            raise


def _end(message: str) -> NoReturn:
    try:
        sys.stderr.write(f"birdedge: {one_line(message)}\n")
    except OSError:
        # As above: or the interpreter tries again, and ends with an exit code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(1)
