"""The figures of a compression: for people as tables, for programs as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.table import Table

from ..runtime.errors import BirdedgeError
from .card import HEADINGS, TargetFigures, row
from .shrink import StageFigures

if TYPE_CHECKING:
    from .compress import Compressed

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


def as_json(done: "Compressed") -> str:
    """All figures of a compression as one line of JSON."""
    return json.dumps(
        {
            "bundle": str(done.folder),
            "id": done.manifest.id,
            "stages": {name: asdict(item) for name, item in done.stages.items()},
            "targets": {name: target_record(item) for name, item in done.figures.items()},
            "refused": done.refused,
        }
    )


def log_to_wandb(done: "Compressed", mode: Literal["offline", "online"]) -> None:
    """Record all figures of a compression as a run of W&B.

    Args:
        done: what was made.
        mode: ``offline`` keeps the run in ``./wandb``, ``online`` needs a key.

    Raises:
        BirdedgeError: W&B does not take them.
    """
    import wandb

    record = json.loads(as_json(done))
    try:
        with wandb.init(
            project="birdedge",
            job_type="compress",
            name=done.manifest.id,
            mode=mode,
            # Of its own accord it would stay where an earlier run of this process was.
            dir=Path.cwd(),
            config=done.manifest.provenance["compression"],
            settings=wandb.Settings(silent=True),
        ) as run:
            run.summary.update({"stages": record["stages"], "targets": record["targets"]})
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
