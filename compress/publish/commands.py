"""`birdedge publish`, `keys` and `fleet`; nothing heavy is imported until one of them runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from .keys import Keys
    from .repository import Repository

publish = typer.Typer(add_completion=False, rich_markup_mode=None)
keys = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
fleet = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

_Repository = Annotated[
    str,
    typer.Option(
        "--to",
        envvar="BIRDEDGE_REPOSITORY",
        metavar="REPOSITORY",
        help="gs://BUCKET/PREFIX, or a folder that a web server serves.",
    ),
]
_KeysFolder = Annotated[
    Path,
    typer.Option(
        "--keys",
        envvar="BIRDEDGE_KEYS",
        metavar="DIR",
        help="Where the private keys lie; BIRDEDGE_KEYS_PASSPHRASE encrypts them.",
    ),
]


@publish.command()
def publish_command(
    to: _Repository,
    model: Annotated[Path | None, typer.Argument(metavar="BUNDLE", help="What to publish.")] = None,
    keys: _KeysFolder = Path("keys"),
    channel: Annotated[str, typer.Option("--channel", help="For those who follow it.")] = "stable",
    percent: Annotated[
        float,
        typer.Option(
            min=0, max=100, help="Share of the devices; publish again with more to go on."
        ),
    ] = 100.0,
    min_version: Annotated[
        str, typer.Option("--min-version", help="The oldest birdedge that can run it.")
    ] = "0",
    regions: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            metavar="REGION",
            help="Where its species live, US or US-NY; may be given again.",
        ),
    ] = None,
    targets: Annotated[
        str, typer.Option("--targets", help="Of the bundle's, those to publish; all if not given.")
    ] = "",
    max_latency: Annotated[
        float | None, typer.Option("--max-ms", min=0.001, help="Of one inference on a device.")
    ] = None,
    max_slowdown: Annotated[
        float, typer.Option("--max-slowdown", min=0.001, help="Against the model in use there.")
    ] = 3.0,
    max_memory: Annotated[
        float | None, typer.Option("--max-mb", min=0.001, help="Of memory on a device.")
    ] = None,
    watch_hours: Annotated[
        float, typer.Option("--watch-hours", min=0, help="That a device watches it for.")
    ] = 24.0,
    watch_confidence: Annotated[
        bool,
        typer.Option(help="Whether devices put it back where it is not as sure as the one before."),
    ] = True,
    untested: Annotated[
        bool, typer.Option("--untested", help="Even if its self-test fails here.")
    ] = False,
    withdraw: Annotated[
        str | None,
        typer.Option("--withdraw", metavar="MODEL", help="Take a release back instead."),
    ] = None,
) -> None:
    """Publish a model bundle for the devices that follow a channel, or take one back.

    Exit code 1: nothing was published, and why.
    """
    import tempfile
    from datetime import UTC, datetime

    from ...runtime.bundle import ModelBundle
    from ...runtime.extras import needs_extra

    with needs_extra("gcs"):
        from packaging.version import InvalidVersion, Version

        from ...runtime.sync.release import Budget, Release
        from .publish import check_bundle, manifest_entry
        from .publish import publish as send
        from .publish import withdraw as take_back
        from .trimmed import trim

    if (model is None) == (withdraw is None):
        raise typer.BadParameter("give a BUNDLE, or --withdraw MODEL", param_hint="BUNDLE")
    try:
        Version(min_version)
    except InvalidVersion as error:
        raise typer.BadParameter(str(error), param_hint="--min-version") from error
    repository, _ = _open(to, keys)
    if model is None:
        assert withdraw is not None
        gone = take_back(repository, channel, withdraw)
        typer.echo(f"{gone.model} is withdrawn from {channel}", err=True)
        return
    bundle = ModelBundle.load(model)
    with tempfile.TemporaryDirectory() as aside:
        if targets:
            wanted = [target.strip() for target in targets.split(",")]
            bundle = trim(bundle, wanted, Path(aside) / "bundle")
        if not untested:
            check_bundle(bundle)
        release = Release(
            model=bundle.manifest.id,
            manifest=manifest_entry(bundle),
            published=datetime.now(UTC),
            percent=percent,
            min_version=min_version,
            regions=tuple(regions or ()),
            budget=Budget(latency_ms=max_latency, slowdown=max_slowdown, memory_mb=max_memory),
            watch_hours=watch_hours,
            watch_confidence=watch_confidence,
        )
        done = send(
            repository,
            bundle,
            channel,
            release,
            lambda name: typer.echo(f"uploading {name}", err=True),
        )
    typer.echo(
        f"{release.model} is published to {channel} for {percent:g} % of the devices "
        f"({done.uploaded / 1e6:.1f} MB uploaded)",
        err=True,
    )
    typer.echo(release.manifest.sha256)


@keys.callback()
def _keys() -> None:
    """Make, renew and replace the keys that devices trust; see docs/sync.md."""


@keys.command()
def init(
    to: _Repository,
    keys: _KeysFolder = Path("keys"),
    channels: Annotated[
        list[str] | None, typer.Option("--channel", help="May be given again; stable if not.")
    ] = None,
) -> None:
    """Begin a repository: a key a role and channel, and root.json for the devices."""
    repository, _ = _open(to, keys, may_be_new=True)
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
def status(to: _Repository, keys: _KeysFolder = Path("keys")) -> None:
    """Show what is signed until when; exit code 1 if a signature has less than a week to go."""
    from datetime import UTC, datetime, timedelta

    from rich.console import Console
    from rich.table import Table

    repository, own = _open(to, keys, expired=True)
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
    to: _Repository,
    roles: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ROLE]...", help="Those whose keys are here, if not given."),
    ] = None,
    keys: _KeysFolder = Path("keys"),
    expired: Annotated[
        bool, typer.Option("--expired", help="Even what has expired; somebody may be replaying it.")
    ] = False,
) -> None:
    """Sign anew what is there, to be valid from today on: run it weekly."""
    repository, own = _open(to, keys, expired=expired)
    chosen = roles or [role for role in repository.status() if own.has(role)]
    repository.renew(chosen)
    repository.commit()
    typer.echo(f"signed anew: {', '.join(chosen)}", err=True)


@keys.command()
def rotate(
    to: _Repository,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="root, stable, ...")],
    keys: _KeysFolder = Path("keys"),
) -> None:
    """Replace a role's key: devices learn of it by themselves; the old one is worth nothing."""
    repository, own = _open(to, keys)
    repository.rotate(role)
    repository.commit()
    own.adopt_next(role)
    typer.echo(f"{role} has a new key; the old one is {own.folder / role}.old.pem", err=True)


@keys.command(name="add-channel")
def add_channel(
    to: _Repository,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    keys: _KeysFolder = Path("keys"),
) -> None:
    """Begin another channel, with a key of its own."""
    repository, _ = _open(to, keys)
    repository.add_channel(channel)
    repository.commit()
    typer.echo(f"birdedge publish BUNDLE --to {to} --channel {channel}", err=True)


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


def _open(
    address: str, folder: Path, *, may_be_new: bool = False, expired: bool = False
) -> "tuple[Repository, Keys]":
    from ...runtime.extras import needs_extra

    with needs_extra("gcs"):
        from .keys import Keys
        from .repository import Repository
    from .storage import PublishError, open_storage

    own = Keys(folder)
    repository = Repository(open_storage(address), own, expired=expired)
    if not may_be_new and not repository.status():
        raise PublishError(f"{address} holds no repository; `birdedge keys init` begins one")
    return repository, own
