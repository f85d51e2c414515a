"""`birdedge fleet`; nothing heavy is imported until one of its commands runs."""

from typing import Annotated

import typer

fleet = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@fleet.callback()
def _fleet() -> None:
    """Look after the devices that report back."""


@fleet.command(name="status")
def fleet_status(
    repository: Annotated[
        str, typer.Argument(envvar="BIRDEDGE_REPOSITORY", help="gs://BUCKET/PREFIX, or a folder.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show what each device said last; exit code 1 if one of them needs somebody."""
    from datetime import UTC, datetime

    from rich.console import Console

    from ...runtime.errors import one_line
    from ...runtime.extras import needs_extra

    with needs_extra("gcs"):
        from .fleet import last_heartbeats, table, troubles
    from .storage import open_storage

    beats, now = last_heartbeats(open_storage(repository)), datetime.now(UTC)
    if as_json:
        for beat in beats:
            typer.echo(beat.model_dump_json(exclude_none=True))
    elif beats:
        Console().print(table(beats))
    else:
        typer.echo("no device has reported; `birdedge sync ... --report` does", err=True)
    found = [(beat.device[:8], told) for beat in beats for told in troubles(beat, now)]
    for device, told in found:
        typer.echo(f"birdedge: {device}: {one_line(told)}", err=True)
    raise typer.Exit(1 if found else 0)
