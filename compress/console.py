"""How the commands of compression say things: tables and progress on stderr, results on stdout."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..runtime.extras import needs_extra
from ..runtime.stopping import ended_like_interrupted

if TYPE_CHECKING:
    from .compress import Compressed
    from .stage_figures import StageFigures

_EPOCH, _STAGE = "last.ckpt", "*/result.json"
"""What an epoch and what a stage leaves behind."""


@contextmanager
def in_one_line(saved: Path | None) -> Iterator[None]:
    """Whatever is wrong is said in one line, as `birdedge train` does.

    Args:
        saved: where the same command finds what it goes on from.
    """
    with needs_extra("compress"):
        from ..train.reporting import hush_lightning, one_line_errors
    hush_lightning()
    try:
        with one_line_errors(), needs_extra("compress"), ended_like_interrupted():
            yield
    except KeyboardInterrupt:
        left = (_EPOCH, f"*/{_EPOCH}", _STAGE)
        if saved is not None and any(any(saved.glob(name)) for name in left):
            say("stopped; the same command goes on from here")
        raise
    except SystemExit:
        if saved is not None and any(saved.glob(_STAGE)):
            say(f"the stages that were done are kept in {saved}")
        raise


def say(line: str) -> None:
    """Tell what goes on, on stderr."""
    typer.echo(line, err=True)


def show(table: object, stderr: bool = True) -> None:
    """Draw a table, on stderr, or on stdout where it is the result."""
    from rich.console import Console

    Console(stderr=stderr).print(table)


def tell_stages(
    context: typer.Context,
    made: Path,
    figures: "Mapping[str, StageFigures]",
    **more: Any,
) -> None:
    """Say what a stage made, and what the network was before and after.

    Args:
        context: of the command, whose options say how.
        made: what it made.
        figures: before and after, by name; none where nothing could be measured.
        more: what else there is to print as JSON.

    Raises:
        BirdedgeError: W&B does not take the figures.
    """
    from .report import log_to_wandb, stages_record, stages_table

    if figures:
        show(stages_table(figures))
    record = {**more, "stages": stages_record(figures)}
    typer.echo(json.dumps(record) if context.params["json"] else made)
    log_to_wandb(context, str(made), record)


def tell_bundle(context: typer.Context, done: "Compressed") -> None:
    """Say what targets a bundle has, and what they can do.

    Args:
        context: of the command, whose options say how.
        done: what it made.

    Raises:
        BirdedgeError: W&B does not take the figures.
        typer.Exit: with code 1, if a target was left out.
    """
    from .report import (
        log_to_wandb,
        network_record,
        stages_record,
        stages_table,
        targets_record,
        targets_table,
    )

    if done.stages:
        show(stages_table(done.stages))
    show(targets_table(done.manifest.id, done.network, done.figures))
    figures = {
        "stages": stages_record(done.stages),
        "network": network_record(done.network),
        "targets": targets_record(done.figures),
        "refused": dict(done.refused),
    }
    record = {"bundle": str(done.folder), "id": done.manifest.id, **figures}
    typer.echo(json.dumps(record) if context.params["json"] else done.folder)
    log_to_wandb(context, done.manifest.id, figures, done.manifest.provenance["compression"])
    if done.refused:
        raise typer.Exit(1)
