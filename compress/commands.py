"""`birdedge compress`, `prune` and `recover`; nothing heavy is imported until one of them runs."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..runtime.errors import BirdedgeError
from ..runtime.extras import needs_extra
from .stages import beside
from .targets import (
    CALIBRATION_METHODS,
    DEFAULT_TARGETS,
    TARGETS,
    Calibration,
    Importance,
    Scope,
)

if TYPE_CHECKING:
    from .latency import Deadline
    from .prune import Pruning

compress = typer.Typer(add_completion=False, rich_markup_mode=None)
prune = typer.Typer(add_completion=False, rich_markup_mode=None)
recover = typer.Typer(add_completion=False, rich_markup_mode=None)


def _targets(value: str) -> str:
    if value == "all":
        return ",".join(name for name, recipe in TARGETS.items() if recipe.in_all)
    names = [_one_of(TARGETS, "target")(name.strip()) for name in value.split(",")]
    return ",".join(dict.fromkeys(names))


def _one_of(known: Collection[str], what: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in known:
            raise typer.BadParameter(f"no {what} {value!r}; there are {', '.join(known)}")
        return value

    return check


_Checkpoint = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint of `birdedge train`.")
]
_Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The photos, if not where training found them."),
]
_Macs = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=0.99,
        metavar="SHARE",
        help="Prune to this share of the multiply-adds.",
    ),
]
_Latency = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        metavar="MS",
        help="Prune until a picture takes so many milliseconds here.",
    ),
]
_On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="TARGET",
        callback=_one_of(TARGETS, "target"),
        help="What --latency is about.",
    ),
]
_Importance = Annotated[
    Importance, typer.Option(help="How channels are ranked; taylor looks at photos.")
]
_Scope = Annotated[
    Scope,
    typer.Option(
        help="local takes the same share of every layer, global the least important anywhere."
    ),
]
_Steps = Annotated[
    int, typer.Option(min=1, metavar="N", help="How often taylor looks anew on the way.")
]
_RoundTo = Annotated[
    int, typer.Option(min=1, metavar="N", help="Keep channels in multiples of this.")
]


@prune.command()
def prune_command(
    checkpoint: _Checkpoint,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write.")],
    macs: _Macs = None,
    latency: _Latency = None,
    on: _On = "onnx-int8",
    importance: _Importance = "magnitude",
    scope: _Scope = "local",
    steps: _Steps = 4,
    round_to: _RoundTo = 8,
    data: _Data = None,
) -> None:
    """Take the least important channels out of a trained network.

    What is lost in accuracy comes back with `birdedge recover`.
    """
    if (macs is None) == (latency is None):
        raise typer.BadParameter("say how small: either --macs or --latency")
    with needs_extra("compress"):
        from .report import stages_table
        from .shrink import measure, prune_checkpoint
    pruning, deadline = _goal(macs, latency, on, importance, scope, steps, round_to)
    prune_checkpoint(checkpoint, out, pruning, deadline, data=data, say=_say)
    try:
        _print(stages_table(measure({"as trained": checkpoint, "pruned": out}, data)))
    except BirdedgeError as error:  # the file is written all the same
        _say(f"not measured: {error}")
    typer.echo(out)


@recover.command()
def recover_command(
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
    data: _Data = None,
) -> None:
    """Train a pruned network to answer as its parent does.

    The same command again goes on where an interrupted one stopped.
    """
    with _training(saved=out):
        from .recover import recover as run

        trained = run(pruned, parent, out, settings or [], data)
    for name, value in sorted(trained.metrics.items()):
        _say(f"{name:>18}  {value:.4f}")
    typer.echo(trained.checkpoint)


@compress.command()
def compress_command(
    context: typer.Context,
    checkpoint: _Checkpoint,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="BUNDLE", help="Folder to write.")],
    targets: Annotated[
        str,
        typer.Option(
            callback=_targets,
            help=f"Comma-separated, of {', '.join(TARGETS)}; or all, without ncnn's.",
        ),
    ] = ",".join(DEFAULT_TARGETS),
    macs: _Macs = None,
    latency: _Latency = None,
    on: _On = "onnx-int8",
    importance: _Importance = "magnitude",
    scope: _Scope = "local",
    steps: _Steps = 4,
    round_to: _RoundTo = 8,
    recover: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SETTING=VALUE",
            help="Change how a pruned network is trained back: trainer.epochs=5; again for more. "
            "--quantization-aware trains like that, too, but for its EPOCHS and, with --macs or "
            "--latency, its own optimizer.lr, optimizer.freeze_batch_norm and trainer.ema_decay.",
        ),
    ] = None,
    quantization_aware: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="EPOCHS",
            help="Train so long as if in INT8 before quantizing: for networks it costs much.",
        ),
    ] = 0,
    calibration_photos: Annotated[
        int, typer.Option(min=1, help="Training photos that INT8 ranges are measured on.")
    ] = 256,
    calibration: Annotated[
        str,
        typer.Option(
            callback=_one_of(CALIBRATION_METHODS, "method"),
            help=f"Of {', '.join(CALIBRATION_METHODS)}; OpenVINO knows no entropy, TFLite minmax "
            "alone.",
        ),
    ] = CALIBRATION_METHODS[0],
    max_drop: Annotated[
        float,
        typer.Option(
            min=0,
            max=100,
            help="Points of validation top-1 that a target may lose; layers of INT8 targets go "
            "back to float to keep to it, and what does not is left out.",
        ),
    ] = 0.5,
    min_agreement: Annotated[
        float,
        typer.Option(
            min=0,
            max=100,
            metavar="PERCENT",
            help="Photos to which an INT8 target has to give the network's own first answer; "
            "likewise.",
        ),
    ] = 97,
    twin: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="For a network that learned from all photos: one trained alike with photos held "
            "out, to be judged by.",
        ),
    ] = None,
    mirror: Annotated[
        bool,
        typer.Option(
            "--mirror",
            help="Average the answers to each picture and to its mirror image: more often right, "
            "for twice the computation.",
        ),
    ] = False,
    data: _Data = None,
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep the stages here; in BUNDLE.work, until all is done, if not given.",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print all figures as one JSON object.")
    ] = False,
    wandb: Annotated[
        Literal["disabled", "offline", "online"],
        typer.Option(help="Record all figures as a run of W&B; offline keeps it in ./wandb."),
    ] = "disabled",
    force: Annotated[bool, typer.Option("--force", help="Replace an older bundle.")] = False,
) -> None:
    """Make a bundle for small computers from a checkpoint.

    It is pruned and trained back if --macs or --latency is given, exported, quantized, verified on
    real photos and packaged. A target that strays too far from the network is left out, which is
    said, and the exit code is 1. Whatever ends it early, the same command goes on from the last
    stage that was done.
    """
    if macs is not None and latency is not None:
        raise typer.BadParameter("say how small: either --macs or --latency")
    smaller = macs is not None or latency is not None
    trains = smaller or quantization_aware > 0
    if not smaller:
        _refuse(context, _OF_PRUNING, "goes with --macs or --latency")
    if not trains:
        _refuse(context, _OF_TRAINING, "goes with --macs, --latency or --quantization-aware")
    if latency is None:
        _refuse(context, ("on",), "goes with --latency")
    elif on not in targets.split(","):
        raise typer.BadParameter(f"--latency is about {on}, which is not among --targets")
    if trains and twin is not None:
        raise typer.BadParameter(
            "with a twin, prune and recover both networks first (birdedge prune, recover)"
        )
    with _training(saved=work or beside(out)):
        from .compress import compress as run
        from .report import as_json, log_to_wandb, stages_table, targets_table
        from .shrink import Shrinking
        from .tolerance import Tolerance

        pruning = deadline = None
        if smaller:
            pruning, deadline = _goal(macs, latency, on, importance, scope, steps, round_to)
        shrinking = Shrinking(pruning, deadline, tuple(recover or ()), quantization_aware)
        done = run(
            checkpoint,
            out,
            targets=tuple(targets.split(",")),
            shrinking=shrinking if trains else None,
            work=work,
            data=data,
            calibration=Calibration(calibration_photos, calibration),
            tolerance=Tolerance(max_drop, min_agreement),
            twin=twin,
            mirror=mirror,
            overwrite=force,
            say=_say,
        )
    if done.stages:
        _print(stages_table(done.stages))
    _print(targets_table(done.manifest.id, done.figures))
    typer.echo(as_json(done) if json else done.folder)
    if wandb != "disabled":
        log_to_wandb(done, wandb)
    if done.refused:
        raise typer.Exit(1)


_GOES_ON_FROM = ("last.ckpt", "result.json")
"""What an epoch and what a stage leaves behind."""

_OF_PRUNING = ("importance", "scope", "steps", "round_to")
_OF_TRAINING = ("recover",)


def _refuse(context: typer.Context, names: Collection[str], why: str) -> None:
    """Options that were given and would do nothing."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise typer.BadParameter(f"--{name.replace('_', '-')} {why}")


def _goal(
    macs: float | None,
    latency: float | None,
    on: str,
    importance: Importance,
    scope: Scope,
    steps: int,
    round_to: int,
) -> tuple["Pruning", "Deadline | None"]:
    from .latency import Deadline
    from .prune import Pruning

    pruning = Pruning(1.0 if macs is None else macs, importance, scope, steps, round_to)
    return pruning, None if latency is None else Deadline(latency, on)


@contextmanager
def _training(saved: Path | None) -> Iterator[None]:
    """What may train says what is wrong in one line, as `birdedge train` does.

    Args:
        saved: where the same command finds what it goes on from.
    """
    with needs_extra("compress"):
        from ..train.reporting import hush_lightning, one_line_errors
    hush_lightning()
    try:
        with one_line_errors(), needs_extra("compress"):
            yield
    except KeyboardInterrupt:
        if saved is not None and any(any(saved.rglob(name)) for name in _GOES_ON_FROM):
            _say("stopped; the same command goes on from here")
        raise
    except SystemExit:
        if saved is not None and any(saved.rglob("result.json")):
            _say(f"the stages that were done are kept in {saved}")
        raise


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _print(table: object) -> None:
    from rich.console import Console

    Console(stderr=True).print(table)
