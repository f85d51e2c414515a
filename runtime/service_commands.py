"""`birdedge service`: what watches on after every start of the machine."""

from difflib import get_close_matches
from typing import Annotated

import typer

service = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

INACTIVE = 3
"""Exit code of `systemctl status` for a service that does not run."""


@service.callback()
def _service() -> None:
    """Let systemd run birdedge: at every start, again after every fault."""


@service.command(name="print")
def print_command() -> None:
    """Print the unit that `install` writes."""
    from .service import unit

    typer.echo(unit(), nl=False)


@service.command()
def install(
    camera: Annotated[str, typer.Option("--camera", help="What to watch; see birdedge classify.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Another setting, as BIRDEDGE_MQTT=mqtt://host; may be given again.",
        ),
    ] = None,
) -> None:
    """Write unit and settings, and start it now and at every start; needs root."""
    from .errors import SourceError
    from .service import install as write
    from .sources.cameras import kind_of

    try:
        kind = kind_of(camera)
    except SourceError as error:
        raise typer.BadParameter(str(error), param_hint="--camera") from error
    if kind in ("dir", "video"):
        raise typer.BadParameter("a service watches what happens now", param_hint="--camera")
    values = {}
    known = _names_of_settings()
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise typer.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--set")
        if name.startswith("BIRDEDGE_") and name not in known:
            close = get_close_matches(name, known, 1)
            told = f"{name} is no setting of a service{f'; is it {close[0]}?' if close else ''}"
            raise typer.BadParameter(told, param_hint="--set")
        values[name] = value
    _check_where(values)
    write(camera, values)
    typer.echo(
        "it starts; `birdedge service status` and `journalctl -u birdedge` tell more", err=True
    )


def _check_where(values: dict[str, str]) -> None:
    """What `birdedge classify` would refuse would end the service again and again."""
    from .regions import parse_region, parse_zone

    roi, zones = values.get("BIRDEDGE_ROI"), values.get("BIRDEDGE_ZONES", "")
    try:
        if roi:
            parse_region(roi)
        for zone in zones.split(";"):
            if zone.strip():
                parse_zone(zone)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--set") from error
    if roi and zones.strip():
        told = "BIRDEDGE_ROI cannot be had with BIRDEDGE_ZONES"
        raise typer.BadParameter(told, param_hint="--set")


def _names_of_settings() -> list[str]:
    """What the service's commands read from their environment."""
    from .commands import classify
    from .sync.commands import sync

    parameters = [
        parameter
        for command in (classify, sync)
        for parameter in typer.main.get_command(command).params
    ]
    # Those have no option that names them to Typer.
    return [
        "BIRDEDGE_CAMERA",
        "BIRDEDGE_ROI",
        "BIRDEDGE_ZONES",
        *(str(each.envvar) for each in parameters),
    ]


@service.command()
def status() -> None:
    """Say whether it runs; exit code 3 if not."""
    from .service import status as ask

    told = ask()
    if told.get("LoadState") == "not-found":
        typer.echo("not installed; `sudo birdedge service install --camera CAMERA` does that")
        raise typer.Exit(INACTIVE)
    state = f"{told.get('ActiveState', 'unknown')} ({told.get('SubState', '')})"
    for name, value in {
        "state": state,
        "since": told.get("ActiveEnterTimestamp", ""),
        "now": told.get("StatusText", ""),
        "restarts": told.get("NRestarts", ""),
    }.items():
        if value:
            typer.echo(f"{name:<9} {value}")
    raise typer.Exit(0 if told.get("ActiveState") == "active" else INACTIVE)
