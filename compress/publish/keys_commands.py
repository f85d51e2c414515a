"""`birdedge keys`; nothing heavy is imported until one of its commands runs."""

from pathlib import Path
from typing import Annotated

import typer

from .opening import KeysFolder, RepositoryAddress, open_repository

keys = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@keys.callback()
def _keys() -> None:
    """Make, renew and replace the keys that devices trust; see docs/sync.md."""


@keys.command()
def init(
    to: RepositoryAddress,
    keys: KeysFolder = Path("keys"),
    channels: Annotated[
        list[str] | None, typer.Option("--channel", help="May be given again; stable if not.")
    ] = None,
) -> None:
    """Begin a repository: a key a role and channel, and root.json for the devices."""
    repository, _ = open_repository(to, keys, may_be_new=True)
    repository.begin(channels or ["stable"])
    repository.commit()
    root = repository.memory.root_file
    typer.echo(
        f"keep root.pem and targets.pem offline; give each device {root}: "
        f"birdedge sync {to} --root root.json",
        err=True,
    )
    typer.echo(root)


@keys.command()
def status(to: RepositoryAddress, keys: KeysFolder = Path("keys")) -> None:
    """Show what is signed until when; exit code 1 if a signature has less than a week to go."""
    from datetime import UTC, datetime, timedelta

    from rich.console import Console
    from rich.table import Table

    repository, own = open_repository(to, keys, expired=True)
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("Role", "Version", "Valid until", "Key"):
        table.add_column(title, justify="right" if title == "Version" else "left")
    soon, now = timedelta(days=7), datetime.now(UTC)
    late = False
    for role, signed in repository.status().items():
        left = signed.expires - now
        # A timestamp has two weeks at most.
        is_late = left < min(soon, repository.lifetime(role) / 4)
        late |= is_late
        word = "expired" if left < timedelta() else f"{left.days} days"
        date = f"{signed.expires:%Y-%m-%d} ({word})"
        color = "red" if is_late else "green"
        key = "here" if own.has(role) else "not here"
        table.add_row(role, str(signed.version), f"[{color}]{date}[/]", key)
    Console().print(table)
    if late:
        typer.echo("birdedge: run `birdedge keys renew`", err=True)
    raise typer.Exit(1 if late else 0)


@keys.command()
def renew(
    to: RepositoryAddress,
    roles: Annotated[
        list[str] | None,
        typer.Argument(metavar="ROLE", help="Those whose keys are here, if not given."),
    ] = None,
    keys: KeysFolder = Path("keys"),
    expired: Annotated[
        bool, typer.Option("--expired", help="Even what has expired; somebody may be replaying it.")
    ] = False,
) -> None:
    """Sign anew what is there, to be valid from today on: run it weekly."""
    repository, own = open_repository(to, keys, expired=expired)
    chosen = roles or [role for role in repository.status() if own.has(role)]
    repository.renew(chosen)
    repository.commit()
    typer.echo(f"signed anew: {', '.join(chosen)}", err=True)


@keys.command()
def rotate(
    to: RepositoryAddress,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="root, stable, ...")],
    keys: KeysFolder = Path("keys"),
) -> None:
    """Replace a role's key: devices learn of it by themselves; the old one is worth nothing."""
    repository, own = open_repository(to, keys)
    repository.rotate(role)
    repository.commit()
    own.adopt_next(role)
    typer.echo(f"{role} has a new key; the old one is {own.folder / role}.old.pem", err=True)


@keys.command(name="add-channel")
def add_channel(
    to: RepositoryAddress,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    keys: KeysFolder = Path("keys"),
) -> None:
    """Begin another channel, with a key of its own."""
    repository, _ = open_repository(to, keys)
    repository.add_channel(channel)
    repository.commit()
    typer.echo(f"birdedge publish BUNDLE --to {to} --channel {channel}", err=True)
