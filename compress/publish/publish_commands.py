"""`birdedge publish`; nothing heavy is imported until it runs."""

from pathlib import Path
from typing import Annotated

import typer

from .opening import KeysFolder, RepositoryAddress, open_repository

publish = typer.Typer(add_completion=False, rich_markup_mode=None)


@publish.command()
def publish_command(
    to: RepositoryAddress,
    model: Annotated[Path | None, typer.Argument(metavar="BUNDLE", help="What to publish.")] = None,
    keys: KeysFolder = Path("keys"),
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
    import math
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
    numbers = (percent, max_latency, max_slowdown, max_memory, watch_hours)
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise typer.BadParameter(
            "inf and nan are no numbers of percent, milliseconds, megabytes or hours"
        )
    try:
        Version(min_version)
    except InvalidVersion as error:
        raise typer.BadParameter(str(error), param_hint="--min-version") from error
    repository, _ = open_repository(to, keys)
    if model is None:
        assert withdraw is not None
        gone = take_back(repository, channel, withdraw)
        typer.echo(f"{gone} is withdrawn from {channel}", err=True)
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
