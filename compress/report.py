"""The figures of a compression: for people as tables, for programs as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from ..runtime.errors import BirdedgeError
from .card import HEADINGS, TargetFigures, row
from .shrink import StageFigures
from .targets import WandbMode

STAGE_HEADINGS = ("stage", "MB", "MMAC", "parameters", "val", "agreement")


def stage_row(name: str, figures: StageFigures) -> tuple[str, ...]:
    """One stage's figures as text, in the order of `STAGE_HEADINGS`."""
    return (
        name,
        f"{figures.megabytes:.2f}",
        f"{figures.macs / 1e6:,.0f}",
        f"{figures.parameters:,}",
        f"{figures.top1:.1%}",
        f"{figures.agreement:.1%}",
    )


def stages_table(figures: Mapping[str, StageFigures]) -> Table:
    """What pruning and recovery did to a network."""
    rows = [stage_row(name, item) for name, item in figures.items()]
    return _table(None, STAGE_HEADINGS, rows)


def targets_table(title: str, figures: Mapping[str, TargetFigures]) -> Table:
    """What each target of a bundle can do."""
    return _table(title, HEADINGS, [row(name, item) for name, item in figures.items()])


def stages_record(figures: Mapping[str, StageFigures]) -> dict[str, Any]:
    """What stages did to a network, as JSON."""
    return {name: asdict(item) for name, item in figures.items()}


def targets_record(figures: Mapping[str, TargetFigures]) -> dict[str, Any]:
    """What targets can do, as JSON."""
    return {name: target_record(item) for name, item in figures.items()}


def log_to_wandb(
    job: str,
    name: str,
    figures: Mapping[str, Any],
    mode: WandbMode,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Record figures as a run of W&B.

    Args:
        job: the command, such as ``compress``.
        name: what it made.
        figures: the run's summary, as JSON.
        mode: ``disabled`` records nothing, ``offline`` keeps the run in ``./wandb``, ``online``
            needs a key.
        config: how it was made, as JSON.

    Raises:
        BirdedgeError: W&B does not take them.
    """
    if mode == "disabled":
        return
    import wandb

    try:
        with wandb.init(
            project="birdedge",
            job_type=job,
            name=name,
            mode=mode,
            # Of its own accord it would stay where an earlier run of this process was.
            dir=Path.cwd(),
            config=dict(config or {}),
            settings=wandb.Settings(silent=True),
        ) as run:
            run.summary.update(dict(figures))
    except wandb.Error as error:
        raise BirdedgeError(f"W&B did not take the figures: {error}") from error


def target_record(figures: TargetFigures) -> dict[str, object]:
    """One target's figures as JSON."""
    parts = {"val": figures.val, "test": figures.test}
    measured = {
        name: {**asdict(part), "accuracy": part.accuracy.model_dump(mode="json")}
        for name, part in parts.items()
        if part is not None
    }
    return {"megabytes": figures.megabytes, **measured}


def _table(title: str | None, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(title=title, box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False)
    for heading in headings:
        table.add_column(
            heading, justify="left" if heading == headings[0] else "right", no_wrap=True
        )
    for cells in rows:
        table.add_row(*cells)
    return table
