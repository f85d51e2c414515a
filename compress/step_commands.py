"""`birdedge export`, `quantize`, `verify` and `package`: a compression, a step at a time.

Nothing heavy is imported until one of them runs.
"""

import json as as_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import in_one_line, say, show, tell_bundle, tell_stages
from .options import (
    AsJson,
    BundleFolder,
    CalibrationMethod,
    CalibrationPhotos,
    CheckpointFile,
    DataFolder,
    ForceBundle,
    MaxDrop,
    MinAgreement,
    Mirror,
    ToWandb,
    one_of,
)
from .stages import answers_beside
from .targets import CALIBRATION_METHODS, TARGETS, Calibration

if TYPE_CHECKING:
    from .steps import Step

export = typer.Typer(add_completion=False, rich_markup_mode=None)
quantize = typer.Typer(add_completion=False, rich_markup_mode=None)
verify = typer.Typer(add_completion=False, rich_markup_mode=None)
package = typer.Typer(add_completion=False, rich_markup_mode=None)

_FLOAT = [name for name, recipe in TARGETS.items() if not recipe.quantized]

TargetFolder = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the target to be written.")
]
TargetFolders = Annotated[
    list[Path],
    typer.Argument(metavar="TARGET", help="Folders of `birdedge export` and `quantize`."),
]
ForceTarget = Annotated[
    bool, typer.Option("--force", help="Replace a target that was made of something else.")
]
Work = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep all answers here, so that no photo is looked at twice."),
]


@export.command()
def export_command(
    context: typer.Context,
    checkpoint: CheckpointFile,
    out: TargetFolder,
    target: Annotated[
        str,
        typer.Option(callback=one_of(_FLOAT, "float target"), help=f"Of {', '.join(_FLOAT)}."),
    ] = "onnx-fp32",
    mirror: Mirror = False,
    max_drop: MaxDrop = 0.5,
    data: DataFolder = None,
    json: AsJson = False,
    wandb: ToWandb = "disabled",
    force: ForceTarget = False,
) -> None:
    """Export a trained network to one engine's format.

    The first of the steps that `birdedge compress` takes at once; `birdedge quantize`, `verify`
    and `package` go on from its folder. The exit code is 1 if the target strays from the network.
    """
    with in_one_line(saved=None):
        from .steps import export_step
        from .tolerance import Tolerance

        step = export_step(
            checkpoint, target, out, mirror=mirror, tolerance=Tolerance(max_drop), data=data,
            overwrite=force, say=say,
        )  # fmt: skip
    _tell(context, step)


@quantize.command()
def quantize_command(
    context: typer.Context,
    checkpoint: CheckpointFile,
    exported: Annotated[
        Path, typer.Argument(metavar="EXPORTED", help="A folder of `birdedge export`.")
    ],
    out: TargetFolder,
    calibration_photos: CalibrationPhotos = 256,
    calibration: CalibrationMethod = CALIBRATION_METHODS[0],
    max_drop: MaxDrop = 0.5,
    min_agreement: MinAgreement = 97,
    data: DataFolder = None,
    json: AsJson = False,
    wandb: ToWandb = "disabled",
    force: ForceTarget = False,
) -> None:
    """Quantize an exported network to 8-bit integers.

    Ranges are measured on the checkpoint's training photos. Layers go back to float until the
    target keeps to --max-drop and --min-agreement on the validation photos; the exit code is 1 if
    it never does.
    """
    with in_one_line(saved=None):
        from .steps import quantize_step
        from .tolerance import Tolerance

        step = quantize_step(
            checkpoint, exported, out,
            calibration=Calibration(calibration_photos, calibration),
            tolerance=Tolerance(max_drop, min_agreement), data=data, overwrite=force, say=say,
        )  # fmt: skip
    _tell(context, step, "; try another --calibration or more --calibration-photos, or allow it")


@verify.command()
def verify_command(
    context: typer.Context,
    checkpoint: CheckpointFile,
    targets: TargetFolders,
    max_drop: MaxDrop = 0.5,
    min_agreement: MinAgreement = 97,
    work: Work = None,
    data: DataFolder = None,
    json: AsJson = False,
    wandb: ToWandb = "disabled",
) -> None:
    """Compare targets with their network in PyTorch, on validation and test photos.

    Each runs in its engine, behind the preprocessing of the device. The exit code is 1 if one
    strays too far from the network to enter a bundle.
    """
    with in_one_line(saved=work):
        from .report import log_to_wandb, network_record, targets_record, targets_table
        from .steps import verify_step
        from .tolerance import Tolerance

        accepted = verify_step(
            checkpoint, targets, tolerance=Tolerance(max_drop, min_agreement), work=work, data=data,
            say=say,
        )  # fmt: skip
    show(targets_table(str(checkpoint), accepted.network, accepted.figures), stderr=json)
    record = {
        "network": network_record(accepted.network),
        "targets": targets_record(accepted.figures),
        "refused": dict(accepted.refused),
    }
    if json:
        typer.echo(as_text.dumps(record))
    for name, why in accepted.refused.items():
        say(f"{name} {why}")
    log_to_wandb(context, str(checkpoint), record)
    if accepted.refused:
        raise typer.Exit(1)


@package.command()
def package_command(
    context: typer.Context,
    checkpoint: CheckpointFile,
    targets: TargetFolders,
    out: BundleFolder,
    max_drop: MaxDrop = 0.5,
    min_agreement: MinAgreement = 97,
    work: Work = None,
    data: DataFolder = None,
    json: AsJson = False,
    wandb: ToWandb = "disabled",
    force: ForceBundle = False,
) -> None:
    """Verify targets and make a bundle of them.

    A target that strays too far from the network is left out, which is said, and the exit code is
    1. After `birdedge verify` with the same --work no photo is asked again.
    """
    with in_one_line(saved=work or answers_beside(out)):
        from .steps import package_step
        from .tolerance import Tolerance

        done = package_step(
            checkpoint, targets, out, tolerance=Tolerance(max_drop, min_agreement), work=work,
            data=data, overwrite=force, say=say,
        )  # fmt: skip
    tell_bundle(context, done)


def _tell(context: typer.Context, step: "Step", advice: str = "") -> None:
    if step.in_float:
        say(f"in float: {', '.join(step.in_float)}")
    if step.wrong:
        say(f"{step.target} {step.wrong}{advice}")
    tell_stages(
        context, step.folder, step.figures, target=step.target, folder=str(step.folder),
        wrong=step.wrong, in_float=list(step.in_float),
    )  # fmt: skip
    if step.wrong:
        raise typer.Exit(1)
