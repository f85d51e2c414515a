"""`birdedge doctor`: is all well with this machine?"""

import json
from pathlib import Path
from typing import Annotated

import typer

from .default import default_store, model_in_use

doctor = typer.Typer(add_completion=False, rich_markup_mode=None)

_MARKS = {"ok": ("ok", "green"), "warning": ("warn", "yellow"), "failure": ("FAIL", "red")}


@doctor.command()
def doctor_command(
    camera: Annotated[
        str | None,
        typer.Option(
            "--camera", envvar="BIRDEDGE_CAMERA", help="Take a frame of it; see birdedge classify."
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", envvar="BIRDEDGE_MODEL", help="A bundle's folder."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", envvar="BIRDEDGE_STORE", help="Of sightings.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Check processor, engines, model, camera, disk, clock and temperature.

    Each line that is not ok is followed by what to do. Exit code 0: all is well, or nearly;
    1: something has failed.
    """
    from .doctor import Patient, examine
    from .errors import one_line

    failed = False
    for finding in examine(Patient(model or model_in_use(), camera, store or default_store())):
        failed |= finding.state == "failure"
        if as_json:
            typer.echo(json.dumps(vars(finding), ensure_ascii=False))
            continue
        mark, color = _MARKS[finding.state]
        typer.secho(f"{mark:<5}", fg=color, nl=False)
        typer.echo(f"{finding.name:<12} {one_line(finding.detail)}")
        if finding.advice:
            typer.echo(f"{'':17} -> {finding.advice}")
    raise typer.Exit(1 if failed else 0)
