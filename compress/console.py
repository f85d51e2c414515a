"""How the commands of compression say things: tables and progress on stderr, results on stdout."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..runtime.extras import needs_extra
from ..runtime.stopping import ended_like_interrupted
from .targets import WandbMode

if TYPE_CHECKING:
    from .compress import Compressed
    from .shrink import StageFigures

_EPOCH, _STAGE = "last.ckpt", "*/result.json"
"""What an epoch and what a stage leaves behind."""


@contextmanager
def in_one_line(saved: Path | None) -> Iterator[None]:
    """What may train says what is wrong in one line, as `birdedge train` does.

    Args:
        saved: where the same command finds what it goes on from.
    """
    with needs_extra("compress"):
        from ..train.reporting import hush_lightning, one_line_errors
    hush_lightning()
    try:
        with ended_like_interrupted(), one_line_errors(), needs_extra("compress"):
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
    job: str,
    made: Path,
    figures: "Mapping[str, StageFigures]",
    as_json: bool,
    wandb: WandbMode,
    **more: Any,
) -> None:
    """Say what a stage made, and what the network was before and after.

    Args:
        job: the command.
        made: what it made.
        figures: before and after, by name; none where nothing could be measured.
        as_json: whether all of it is printed, or the path alone.
        wandb: see `log_to_wandb`.
        more: what else there is to print as JSON.
    """
    from .report import log_to_wandb, stages_record, stages_table

    if figures:
        show(stages_table(figures))
    record = {**more, "stages": stages_record(figures)}
    typer.echo(json.dumps(record) if as_json else made)
    log_to_wandb(job, made.name, record, wandb)


def tell_bundle(job: str, done: "Compressed", as_json: bool, wandb: WandbMode) -> None:
    """Say what targets a bundle has, and what they can do.

    Args:
        job: the command.
        done: what it made.
        as_json: whether all figures are printed, or the bundle's folder alone.
        wandb: see `log_to_wandb`.

    Raises:
        typer.Exit: with code 1, if a target was left out.
    """
    from .report import log_to_wandb, stages_record, targets_record, targets_table

    show(targets_table(done.manifest.id, done.figures))
    figures = {
        "stages": stages_record(done.stages),
        "targets": targets_record(done.figures),
        "refused": dict(done.refused),
    }
    record = {"bundle": str(done.folder), "id": done.manifest.id, **figures}
    typer.echo(json.dumps(record) if as_json else done.folder)
    how = done.manifest.provenance["compression"]
    log_to_wandb(job, done.manifest.id, figures, wandb, how)
    if done.refused:
        raise typer.Exit(1)
