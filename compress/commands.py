"""`birdedge compress`; nothing heavy is imported until it runs."""

from pathlib import Path
from typing import Annotated

import typer

from .console import in_one_line, say, tell_bundle
from .options import (
    AsJson,
    BundleFolder,
    CalibrationMethod,
    CalibrationPhotos,
    ChannelImportance,
    CheckpointFile,
    DataFolder,
    ForceBundle,
    Latency,
    LatencyTarget,
    Macs,
    MaxDrop,
    MinAgreement,
    Mirror,
    PruningScope,
    RoundTo,
    Steps,
    ToWandb,
    pruning_goal,
    refuse,
    targets_of,
)
from .stages import beside
from .targets import CALIBRATION_METHODS, DEFAULT_TARGETS, TARGETS, Calibration

compress = typer.Typer(add_completion=False, rich_markup_mode=None)


@compress.command()
def compress_command(
    context: typer.Context,
    checkpoint: CheckpointFile,
    out: BundleFolder,
    targets: Annotated[
        str,
        typer.Option(
            callback=targets_of,
            help=f"Comma-separated, of {', '.join(TARGETS)}; or all, without ncnn's.",
        ),
    ] = ",".join(DEFAULT_TARGETS),
    macs: Macs = None,
    latency: Latency = None,
    on: LatencyTarget = "onnx-int8",
    importance: ChannelImportance = "magnitude",
    scope: PruningScope = "local",
    steps: Steps = 4,
    round_to: RoundTo = 8,
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
    calibration_photos: CalibrationPhotos = 256,
    calibration: CalibrationMethod = CALIBRATION_METHODS[0],
    max_drop: MaxDrop = 0.5,
    min_agreement: MinAgreement = 97,
    twin: Annotated[
        Path | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="For a network that learned from all photos: one trained alike with photos held "
            "out, to be judged by.",
        ),
    ] = None,
    mirror: Mirror = False,
    data: DataFolder = None,
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep the stages here; in BUNDLE.work, until all is done, if not given.",
        ),
    ] = None,
    json: AsJson = False,
    wandb: ToWandb = "disabled",
    force: ForceBundle = False,
) -> None:
    """Make a bundle for small computers from a checkpoint.

    It is pruned and trained back if --macs or --latency is given, exported, quantized, verified on
    real photos and packaged. Layers of an INT8 target go back to float until it keeps to --max-drop
    and --min-agreement; a target that does not is left out, which is said, and the exit code is 1.
    Whatever ends it early, the same command goes on from the last stage that was done.
    """
    if macs is not None and latency is not None:
        raise typer.BadParameter("say how small: either --macs or --latency")
    smaller = macs is not None or latency is not None
    trains = smaller or quantization_aware > 0
    if not smaller:
        refuse(context, _OF_PRUNING, "goes with --macs or --latency")
    if not trains:
        refuse(context, ("recover",), "goes with --macs, --latency or --quantization-aware")
    if importance != "taylor":
        refuse(context, ("steps",), "goes with --importance taylor")
    if not any(TARGETS[name].quantized for name in targets.split(",")):
        refuse(context, _OF_QUANTIZING, "goes with INT8 targets")
    if latency is None:
        refuse(context, ("on",), "goes with --latency")
    elif on not in targets.split(","):
        raise typer.BadParameter(f"--latency is about {on}, which is not among --targets")
    if trains and twin is not None:
        raise typer.BadParameter(
            "with a twin, prune and recover both networks first (birdedge prune, recover)"
        )
    with in_one_line(saved=work or beside(out)):
        from .compress import compress as run
        from .shrink import Shrinking
        from .tolerance import Tolerance

        pruning = deadline = None
        if smaller:
            pruning, deadline = pruning_goal(macs, latency, on, importance, scope, steps, round_to)
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
            say=say,
        )
    tell_bundle(context, done)


_OF_PRUNING = ("importance", "scope", "steps", "round_to")
_OF_QUANTIZING = ("calibration", "calibration_photos", "min_agreement", "quantization_aware")
