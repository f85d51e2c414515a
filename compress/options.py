"""The options that the commands of compression have in common."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .targets import CALIBRATION_METHODS, TARGETS, Importance, Scope, WandbMode

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
    Path,
    typer.Argument(
        metavar="CHECKPOINT", help="A checkpoint of `birdedge train`, `prune` or `recover`."
    ),
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


CalibrationPhotos = Annotated[
    int, typer.Option(min=1, help="Training photos that INT8 ranges are measured on.")
]
CalibrationMethod = Annotated[
    str,
    typer.Option(
        callback=one_of(CALIBRATION_METHODS, "method"),
        help=f"Of {', '.join(CALIBRATION_METHODS)}; OpenVINO knows no entropy, TFLite minmax "
        "alone.",
    ),
]
MaxDrop = Annotated[
    float,
    typer.Option(
        min=0,
        max=100,
        help="Points of validation top-1 that a target may lose.",
    ),
]
MinAgreement = Annotated[
    float,
    typer.Option(
        min=0,
        max=100,
        metavar="PERCENT",
        help="Photos to which an INT8 target has to give the network's own first answer.",
    ),
]
Mirror = Annotated[
    bool,
    typer.Option(
        "--mirror",
        help="Average the answers to each picture and to its mirror image: more often right, "
        "for twice the computation.",
    ),
]
ToWandb = Annotated[
    WandbMode,
    typer.Option(help="Record all figures as a run of W&B; offline keeps it in ./wandb."),
]
BundleFolder = Annotated[
    Path, typer.Option("--out", "-o", metavar="BUNDLE", help="Folder to write.")
]
ForceBundle = Annotated[bool, typer.Option("--force", help="Replace an older bundle.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print all figures as one JSON object.")]


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
