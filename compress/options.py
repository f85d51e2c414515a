"""What the commands of compression have in common: their options, and how they say things."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.extras import needs_extra
from ..runtime.stopping import ended_like_interrupted
from .targets import TARGETS, Importance, Scope

if TYPE_CHECKING:
    from .latency import Deadline
    from .prune import Pruning


def targets_of(value: str) -> str:
    """Names of targets, each once; ``all`` stands for those that `--targets all` makes."""
    if value == "all":
        return ",".join(name for name, recipe in TARGETS.items() if recipe.in_all)
    names = [one_of(TARGETS, "target")(name.strip()) for name in value.split(",")]
    return ",".join(dict.fromkeys(names))


def one_of(known: Collection[str], what: str) -> Callable[[str], str]:
    """A callback that takes no other values."""

    def check(value: str) -> str:
        if value not in known:
            raise typer.BadParameter(f"no {what} {value!r}; there are {', '.join(known)}")
        return value

    return check


CheckpointFile = Annotated[
    Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint of `birdedge train`.")
]
DataFolder = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The photos, if not where training found them."),
]
Macs = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=0.99,
        metavar="SHARE",
        help="Prune to this share of the multiply-adds.",
    ),
]
Latency = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        metavar="MS",
        help="Prune until a picture takes so many milliseconds here.",
    ),
]
LatencyTarget = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="TARGET",
        callback=one_of(TARGETS, "target"),
        help="What --latency is about.",
    ),
]
ChannelImportance = Annotated[
    Importance, typer.Option(help="How channels are ranked; taylor looks at photos.")
]
PruningScope = Annotated[
    Scope,
    typer.Option(
        help="local takes the same share of every layer, global the least important anywhere."
    ),
]
Steps = Annotated[
    int, typer.Option(min=1, metavar="N", help="How often taylor looks anew on the way.")
]
RoundTo = Annotated[
    int, typer.Option(min=1, metavar="N", help="Keep channels in multiples of this.")
]


AsJson = Annotated[bool, typer.Option("--json", help="Print all figures as one JSON object.")]


_EPOCH, _STAGE = "last.ckpt", "*/result.json"
"""What an epoch and what a stage leaves behind."""


def refuse(context: typer.Context, names: Collection[str], why: str) -> None:
    """Options that were given and would do nothing are wrong usage."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise typer.BadParameter(f"--{name.replace('_', '-')} {why}")


def pruning_goal(
    macs: float | None,
    latency: float | None,
    on: str,
    importance: Importance,
    scope: Scope,
    steps: int,
    round_to: int,
) -> tuple["Pruning", "Deadline | None"]:
    """What pruning is to reach: a share of multiply-adds, or a deadline that decides about it."""
    from .latency import Deadline
    from .prune import Pruning

    pruning = Pruning(1.0 if macs is None else macs, importance, scope, steps, round_to)
    return pruning, None if latency is None else Deadline(latency, on)


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


def show(table: object) -> None:
    """Draw a table, on stderr."""
    from rich.console import Console

    Console(stderr=True).print(table)
