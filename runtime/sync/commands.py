"""`birdedge sync`; nothing heavy is imported until it runs."""

import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..default import default_models
from ..errors import one_line
from ..stopping import INTERRUPTED, leave

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ..installed import Installed
    from .install import Progress
    from .line import Line
    from .synchronise import Outcome

sync = typer.Typer(add_completion=False, rich_markup_mode=None)


@sync.command()
def sync_command(
    repository: Annotated[
        str,
        typer.Argument(
            envvar="BIRDEDGE_SYNC_FROM",
            metavar="REPOSITORY",
            help="gs://BUCKET/PREFIX, https://..., or a folder.",
        ),
    ],
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            envvar="BIRDEDGE_SYNC_ROOT",
            metavar="FILE",
            help="The keeper's root.json, whom to trust; needed the first time.",
        ),
    ] = None,
    channel: Annotated[
        str, typer.Option("--channel", envvar="BIRDEDGE_SYNC_CHANNEL", help="What to follow.")
    ] = "stable",
    region: Annotated[
        str,
        typer.Option(
            "--region",
            envvar="BIRDEDGE_SYNC_REGION",
            help="Where this device is, US-NY say: some models are for some regions.",
        ),
    ] = "",
    window: Annotated[
        str | None,
        typer.Option(
            "--window",
            envvar="BIRDEDGE_SYNC_WINDOW",
            metavar="01:00-05:00",
            help="Do nothing outside these hours of local time.",
        ),
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(
            "--limit-kb", envvar="BIRDEDGE_SYNC_LIMIT_KB", min=1, help="Kilobytes a second at most."
        ),
    ] = None,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            envvar="BIRDEDGE_SYNC_REPORT",
            help="Tell the keeper how this device is: versions, counts, no pictures, no species.",
        ),
    ] = False,
    models: Annotated[
        Path | None,
        typer.Option(
            "--models",
            envvar="BIRDEDGE_MODELS",
            metavar="DIR",
            help="Where models lie; a user's own folder if not given.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Bring the newest model that is meant for this device, try it here, and put it to use.

    What is not signed, does not pass its self-test here or is too slow is refused, and the model in
    use stays. A running `birdedge classify --camera` changes over between two frames.

    Exit code 0: the newest is in use, or the hours of --window are over; 1: it could not be brought
    (or reported), and why; 130: Ctrl-C.
    """
    from ..extras import needs_extra
    from .release import CHANNEL
    from .window import Window

    if not CHANNEL.fullmatch(channel):
        raise typer.BadParameter("letters, digits, - and _ alone", param_hint="--channel")
    try:
        hours = Window.parse(window) if window else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--window") from error
    if hours is not None and not hours.is_open(_local_time()):
        typer.echo(f"birdedge: outside the window {hours}; nothing done", err=True)
        return
    with needs_extra("sync"):
        import packaging.version  # noqa: F401
        import tuf.ngclient  # noqa: F401
    from ..errors import SyncError
    from ..installed import Installed
    from .line import Line
    from .locations import locate

    installed = Installed(models or default_models())
    location = locate(repository)
    line = Line(
        location,
        limit * 1000 if limit else None,
        agent=f"birdedge/{_version()}",
        may_go_on=lambda: hours is None or hours.is_open(_local_time()),
    )
    try:
        outcome = _run(installed, line, channel, region, root, report=report)
    except SyncError as error:
        if error.kind != "closed":
            raise
        # As it was asked for: no failure, and nothing is sent outside the hours.
        typer.echo(f"birdedge: {error}", err=True)
        return
    except KeyboardInterrupt:
        # A download may be under way.
        leave(INTERRUPTED)
    if as_json:
        import json

        typer.echo(json.dumps(vars(outcome)))
    else:
        typer.echo(one_line(outcome.detail))
    if report:
        from .heartbeat import heartbeat, send

        send(heartbeat(installed, channel, outcome.state), location)


def _run(
    installed: "Installed",
    line: "Line",
    channel: str,
    region: str,
    root: Path | None,
    *,
    report: bool,
) -> "Outcome":
    from ..errors import SyncError
    from .synchronise import synchronise

    try:
        with _shown() as progress:
            return synchronise(installed, line, channel, _version(), region, root, progress)
    except SyncError as error:
        if report and error.kind != "closed":
            _try_to_report(installed, line, channel, error.kind)
        raise


def _try_to_report(installed: "Installed", line: "Line", channel: str, problem: str) -> None:
    """The keeper should hear of it; that this fails, too, is no news."""
    from ..errors import SyncError
    from .heartbeat import heartbeat, send

    with suppress(SyncError, OSError):
        send(heartbeat(installed, channel, problem), line.location)


@contextmanager
def _shown() -> "Iterator[Progress]":
    """Show how far it has come, where a person is looking at the terminal."""
    from .install import Progress

    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking", total=None)

        def expect(total: int) -> None:
            bar.update(task, description="downloading", total=total, completed=0)

        yield Progress(
            expect,
            lambda count: bar.advance(task, count),
            lambda name: bar.update(task, description=name),
        )


def _version() -> str:
    from importlib.metadata import version

    return version("birdedge")


def _local_time() -> "datetime":
    from datetime import datetime

    return datetime.now().astimezone()
