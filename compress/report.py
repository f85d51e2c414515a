"""The figures of a compression: for people as tables, for programs as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from ..runtime.errors import BirdedgeError
from .accept import NetworkFigures
from .card import HEADINGS, TargetFigures, row
from .stage_figures import StageFigures
from .verify import REFERENCE

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
    """What stages did to a network."""
    rows = [stage_row(name, item) for name, item in figures.items()]
    return _table(None, STAGE_HEADINGS, rows)


def targets_table(
    title: str, network: NetworkFigures, figures: Mapping[str, TargetFigures]
) -> Table:
    """What a network was in PyTorch, and what each of its targets can do."""
    of_all = {REFERENCE: network.figures, **figures}
    rows = [row(name, item) for name, item in of_all.items()]
    about = f"{title}: {network.macs / 1e6:,.0f} MMAC, {network.parameters:,} parameters"
    return _table(about, HEADINGS, rows)


def stages_record(figures: Mapping[str, StageFigures]) -> dict[str, Any]:
    """What stages did to a network, as JSON."""
    return {name: asdict(item) for name, item in figures.items()}


def targets_record(figures: Mapping[str, TargetFigures]) -> dict[str, Any]:
    """What targets can do, as JSON."""
    return {name: target_record(item) for name, item in figures.items()}


def log_to_wandb(
    context: typer.Context,
    name: str,
    figures: Mapping[str, Any],
    how: Mapping[str, Any] | None = None,
) -> None:
    """Record figures as a run of W&B, if ``--wandb`` says so.

    ``offline`` keeps the run in ``./wandb``, ``online`` needs a key.

    Args:
        context: of the command, whose options become the run's configuration.
        name: what was made.
        figures: the run's summary, as JSON.
        how: more of the configuration, as JSON.

    Raises:
        BirdedgeError: W&B does not take them.
    """
    mode = context.params["wandb"]
    if mode == "disabled":
        return
    import wandb

    plain = (str, int, float, bool, type(None))
    given = {
        option: value if isinstance(value, plain) else str(value)
        for option, value in context.params.items()
    }
    try:
        with wandb.init(
            project="birdedge",
            job_type=context.info_name,
            name=name,
            mode=mode,
            # Of its own accord it would stay where an earlier run of this process was.
            dir=Path.cwd(),
            config=given | dict(how or {}),
            settings=wandb.Settings(silent=True),
        ) as run:
            run.summary.update(dict(figures))
    except wandb.Error as error:
        raise BirdedgeError(f"W&B did not take the figures: {error}") from error


def network_record(network: NetworkFigures) -> dict[str, Any]:
    """What a network was in PyTorch, as JSON."""
    cost = {"macs": network.macs, "parameters": network.parameters}
    return {**cost, **target_record(network.figures)}


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
    table = Table(
        title=None if title is None else Text(title),
        box=None,
        header_style="dim",
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for heading in headings:
        table.add_column(
            heading, justify="left" if heading == headings[0] else "right", no_wrap=True
        )
    for cells in rows:
        table.add_row(*cells)
    return table
