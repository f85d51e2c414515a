"""`birdedge prune` and `recover`; nothing heavy is imported until one of them runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.errors import BirdedgeError
from ..runtime.extras import needs_extra
from ..runtime.stopping import ended_like_interrupted
from .console import in_one_line, say, tell_stages
from .options import (
    AsJson,
    ChannelImportance,
    CheckpointFile,
    DataFolder,
    Latency,
    LatencyTarget,
    Macs,
    PruningScope,
    RoundTo,
    Steps,
    ToWandb,
    pruning_goal,
    refuse,
)

if TYPE_CHECKING:
    from .stage_figures import StageFigures

prune = typer.Typer(add_completion=False, rich_markup_mode=None)
recover = typer.Typer(add_completion=False, rich_markup_mode=None)


@prune.command()
def prune_command(
    context: typer.Context,
    checkpoint: CheckpointFile,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write.")],
    macs: Macs = None,
    latency: Latency = None,
    on: LatencyTarget = "onnx-int8",
    importance: ChannelImportance = "magnitude",
    scope: PruningScope = "local",
    steps: Steps = 4,
    round_to: RoundTo = 8,
    data: DataFolder = None,
    json: AsJson = False,
    wandb: ToWandb = "disabled",
) -> None:
    """Take the least important channels out of a trained network.

    What is lost in accuracy comes back with `birdedge recover`.
    """
    if (macs is None) == (latency is None):
        raise typer.BadParameter("say how small: either --macs or --latency")
    if latency is None:
        refuse(context, ("on",), "goes with --latency")
    if importance != "taylor":
        refuse(context, ("steps",), "goes with --importance taylor")
    with needs_extra("compress"), ended_like_interrupted():
        from .shrink import prune_checkpoint

        pruning, deadline = pruning_goal(macs, latency, on, importance, scope, steps, round_to)
        prune_checkpoint(checkpoint, out, pruning, deadline, data=data, say=say)
        stages = _measured({"as trained": checkpoint, "pruned": out}, data)
    tell_stages(context, out, stages, checkpoint=str(out))


@recover.command()
def recover_command(
    context: typer.Context,
    pruned: Annotated[
        Path, typer.Argument(metavar="PRUNED", help="A checkpoint of `birdedge prune`.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="SETTING=VALUE", help="As for `birdedge train`: trainer.epochs=5"),
    ] = None,
    *,
    parent: Annotated[
        Path, typer.Option(metavar="CHECKPOINT", help="The network it was cut from: its teacher.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the run.")],
    data: DataFolder = None,
    json: AsJson = False,
    wandb: ToWandb = "disabled",
) -> None:
    """Train a pruned network to answer as its parent does.

    The same command again goes on where an interrupted one stopped.
    """
    with in_one_line(saved=out):
        from .recover import recover as run

        trained = run(pruned, parent, out, settings or [], data)
    for name, value in sorted(trained.metrics.items()):
        say(f"{name:>18}  {value:.4f}")
    stages = _measured({"parent": parent, "pruned": pruned, "recovered": trained.checkpoint}, data)
    tell_stages(context, trained.checkpoint, stages, checkpoint=str(trained.checkpoint))


def _measured(checkpoints: dict[str, Path], data: Path | None) -> dict[str, "StageFigures"]:
    """Figures of networks; none where there are no photos, for the files are there."""
    from .shrink import measure

    try:
        return measure(checkpoints, data)
    except BirdedgeError as error:
        say(f"not measured: {error}")
        return {}
