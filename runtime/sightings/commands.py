"""`birdedge sightings`: who came, and what to do with it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ..default import default_store, model_in_use

sightings = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        envvar="BIRDEDGE_STORE",
        help="The folder that `classify --camera` keeps them in; a user's own if not given.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Of a sighting; its first digits will do.")]
Since = Annotated[
    datetime | None, typer.Option("--since", help="From this day or time on, by the local clock.")
]
Until = Annotated[
    datetime | None, typer.Option("--until", help="Before this day or time, by the local clock.")
]
Species = Annotated[
    str | None, typer.Option("--species", help="Whose name has this in it: jay, Cyanocitta.")
]
Unknown = Annotated[
    bool, typer.Option("--unknown", help="Also those that are unknown or were no bird.")
]


@sightings.callback()
def _sightings() -> None:
    """See, correct and hand on what visited the camera."""


@sightings.command(name="list")
def list_command(
    since: Since = None,
    until: Until = None,
    species: Species = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="So many of the newest.")] = 50,
    unknown: Unknown = False,
    as_json: Json = False,
    store: Store = None,
) -> None:
    """List sightings, the newest last."""
    from .database import read_database
    from .records import Wanted, find
    from .shown import print_list

    wanted = Wanted(_utc(since), _utc(until), species, unknown, limit)
    with read_database(store or default_store()) as connection:
        print_list(list(find(connection, wanted)), as_json=as_json)


@sightings.command()
def show(id_: Id, as_json: Json = False, store: Store = None) -> None:
    """Show all that is known of one."""
    from .database import read_database
    from .records import get
    from .shown import print_one

    folder = store or default_store()
    with read_database(folder) as connection:
        print_one(get(connection, id_), folder, as_json=as_json)


@sightings.command()
def relabel(
    id_: Id,
    species: Annotated[
        str | None,
        typer.Argument(
            metavar="SPECIES",
            help="What it was: a name that the model knows, or 'Scientific name (Common name)'.",
        ),
    ] = None,
    no_bird: Annotated[bool, typer.Option("--no-bird", help="It was none.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take the model's word again.")] = False,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            envvar="BIRDEDGE_MODEL",
            help="Whose names may be short; the model in use if not given.",
        ),
    ] = None,
    store: Store = None,
) -> None:
    """Say what a bird was; the model's own answer is kept beside it."""
    if sum((species is not None, no_bird, undo)) != 1:
        raise typer.BadParameter("give a SPECIES, or --no-bird, or --undo", param_hint="SPECIES")
    from ..bundle import ModelBundle
    from .corrections import correction_of
    from .database import read_database
    from .records import get
    from .rows import correct

    with read_database(store or default_store()) as connection:
        sighting = get(connection, id_)
        labels = ModelBundle.load(model or model_in_use()).manifest.labels if species else ()
        correction = None if undo else correction_of(species, labels, datetime.now(UTC))
        correct(connection, sighting.id, correction)
        typer.echo(f"{sighting.id[:8]}: {get(connection, sighting.id).name}", err=True)


@sightings.command()
def favourite(
    id_: Id,
    undo: Annotated[bool, typer.Option("--undo", help="It is none any longer.")] = False,
    store: Store = None,
) -> None:
    """Keep a sighting's picture, however old it gets."""
    from .database import read_database
    from .records import get, set_favourite

    with read_database(store or default_store()) as connection:
        sighting = get(connection, id_)
        set_favourite(connection, sighting, not undo)
        typer.echo(f"{sighting.id[:8]}: {sighting.name}", err=True)


@sightings.command()
def stats(as_json: Json = False, store: Store = None) -> None:
    """Count visits by species."""
    from .database import read_database
    from .records import count
    from .shown import print_counts

    with read_database(store or default_store()) as connection:
        print_counts(count(connection), as_json=as_json)


def _utc(moment: datetime | None) -> datetime | None:
    """What was given by the local clock."""
    try:
        return moment and moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{moment} cannot be said in another time zone") from error


@sightings.command()
def export(
    format_: Annotated[
        str, typer.Option("--format", "-f", help="csv, json, ebird or camtrap-dp.")
    ] = "csv",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A file, or for camtrap-dp a folder; stdout if not given."
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    species: Species = None,
    unknown: Unknown = False,
    location: Annotated[
        str, typer.Option("--location", envvar="BIRDEDGE_LOCATION", help="The place's name.")
    ] = "Garden",
    latitude: Annotated[
        float | None,
        typer.Option("--latitude", envvar="BIRDEDGE_LATITUDE", min=-90, max=90, help="Degrees."),
    ] = None,
    longitude: Annotated[
        float | None,
        typer.Option(
            "--longitude", envvar="BIRDEDGE_LONGITUDE", min=-180, max=180, help="Degrees."
        ),
    ] = None,
    state: Annotated[
        str, typer.Option("--state", envvar="BIRDEDGE_STATE", help="For ebird: two letters.")
    ] = "",
    country: Annotated[
        str, typer.Option("--country", envvar="BIRDEDGE_COUNTRY", help="For ebird: two letters.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    store: Store = None,
) -> None:
    """Write sightings for a spreadsheet, a program, eBird, or ecologists (Camtrap DP 1.0)."""
    from .database import read_database
    from .exporting import export_to, load_export
    from .exports import Site
    from .records import Wanted, find

    write = load_export(format_)
    site = Site(location, latitude, longitude, state, country)
    folder = store or default_store()
    with read_database(folder) as connection:
        chosen = list(find(connection, Wanted(_utc(since), _utc(until), species, unknown)))
    export_to(out, lambda draft: write(chosen, site, folder, draft), overwrite=force)
    typer.echo(f"{len(chosen):,} sightings", err=True)
