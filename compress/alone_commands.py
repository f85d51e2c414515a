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
    CalibrationMethod,
    CalibrationPhotos,
    CheckpointFile,
    DataFolder,
    MaxDrop,
    MinAgreement,
    Mirror,
    ToWandb,
    one_of,
)
from .targets import CALIBRATION_METHODS, TARGETS, Calibration, WandbMode

if TYPE_CHECKING:
    from .alone import MadeAlone

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
    typer.Argument(metavar="TARGET...", help="Folders of `birdedge export` and `quantize`."),
]
ForceTarget = Annotated[
    bool, typer.Option("--force", help="Replace a target that was made of something else.")
]
Work = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep all answers here, so that no photo is asked twice."),
]


@export.command()
def export_command(
    checkpoint: CheckpointFile,
    out: TargetFolder,
    target: Annotated[
        str,
        typer.Option(callback=one_of(_FLOAT, "float target"), help=f"Of {', '.join(_FLOAT)}."),
    ] = "onnx-fp32",
    mirror: Mirror = False,
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
        from .alone import export_alone

        made = export_alone(
            checkpoint, target, out, mirror=mirror, data=data, overwrite=force, say=say
        )
        _tell(made, "export", json, wandb)


@quantize.command()
def quantize_command(
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

    Ranges are measured on the checkpoint's training photos, and validation photos say which layers
    go back to float. The exit code is 1 if it strays too far from the network nevertheless.
    """
    with in_one_line(saved=None):
        from .alone import quantize_alone
        from .tolerance import Tolerance

        made = quantize_alone(
            checkpoint, exported, out,
            calibration=Calibration(calibration_photos, calibration),
            tolerance=Tolerance(max_drop, min_agreement), data=data, overwrite=force, say=say,
        )  # fmt: skip
        _tell(made, "quantize", json, wandb)


@verify.command()
def verify_command(
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
        from .alone import verify_alone
        from .report import log_to_wandb, targets_record, targets_table
        from .tolerance import Tolerance

        accepted = verify_alone(
            checkpoint, targets, tolerance=Tolerance(max_drop, min_agreement), work=work, data=data,
            say=say,
        )  # fmt: skip
        table = targets_table(str(checkpoint), accepted.figures)
        record = {
            "targets": targets_record(accepted.figures),
            "refused": dict(accepted.refused),
        }
        if json:
            show(table)
            typer.echo(as_text.dumps(record))
        else:
            show(table, stderr=False)
        log_to_wandb("verify", checkpoint.stem, record, wandb)
    for name, why in accepted.refused.items():
        say(f"{name} {why}")
    if accepted.refused:
        raise typer.Exit(1)


@package.command()
def package_command(
    checkpoint: CheckpointFile,
    targets: TargetFolders,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="BUNDLE", help="Folder to write.")],
    max_drop: MaxDrop = 0.5,
    min_agreement: MinAgreement = 97,
    work: Work = None,
    data: DataFolder = None,
    json: AsJson = False,
    wandb: ToWandb = "disabled",
    force: Annotated[bool, typer.Option("--force", help="Replace an older bundle.")] = False,
) -> None:
    """Verify targets and make a bundle of them.

    A target that strays too far from the network is left out, which is said, and the exit code is
    1. `birdedge verify` with the same --work has asked all photos before.
    """
    with in_one_line(saved=work):
        from .alone import package_alone
        from .tolerance import Tolerance

        done = package_alone(
            checkpoint, targets, out, tolerance=Tolerance(max_drop, min_agreement), work=work,
            data=data, overwrite=force, say=say,
        )  # fmt: skip
    tell_bundle("package", done, json, wandb)


def _tell(made: "MadeAlone", job: str, as_json: bool, wandb: WandbMode) -> None:
    more = {"target": made.target, "folder": str(made.folder), "wrong": made.wrong}
    tell_stages(job, made.folder, made.figures, as_json, wandb, **more)
    if made.wrong:
        say(f"{made.target} {made.wrong}")
        raise typer.Exit(1)
