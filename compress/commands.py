"""`birdedge compress`; nothing heavy is imported until it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.extras import needs_extra
from .targets import CALIBRATION_METHODS, DEFAULT_TARGETS, TARGETS

if TYPE_CHECKING:
    from .compress import Compressed

compress = typer.Typer(add_completion=False, rich_markup_mode=None)


def _targets(value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if name not in TARGETS:
            raise typer.BadParameter(f"no target {name!r}; there are {', '.join(TARGETS)}")
    return ",".join(dict.fromkeys(names))


def _method(value: str) -> str:
    if value not in CALIBRATION_METHODS:
        raise typer.BadParameter(f"no method {value!r}; there are {', '.join(CALIBRATION_METHODS)}")
    return value


@compress.command()
def compress_command(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of `birdedge train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="BUNDLE", help="Folder to write.")],
    targets: Annotated[
        str, typer.Option(callback=_targets, help=f"Comma-separated, of {', '.join(TARGETS)}.")
    ] = ",".join(DEFAULT_TARGETS),
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The photos, if not where training found them."),
    ] = None,
    calibration_photos: Annotated[
        int, typer.Option(min=1, help="Training photos that INT8 ranges are measured on.")
    ] = 256,
    calibration: Annotated[
        str,
        typer.Option(
            callback=_method,
            help=f"Of {', '.join(CALIBRATION_METHODS)}; OpenVINO knows no entropy, TFLite minmax "
            "alone.",
        ),
    ] = CALIBRATION_METHODS[0],
    max_drop: Annotated[
        float, typer.Option(help="Points of validation top-1 that a target may lose.")
    ] = 0.5,
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
    force: Annotated[bool, typer.Option("--force", help="Replace an older bundle.")] = False,
) -> None:
    """Make a bundle for small computers from a checkpoint.

    It is exported, quantized, verified on real photos and packaged, or nothing is written.
    """
    with needs_extra("compress"):
        from .compress import Calibration
        from .compress import compress as run

    done = run(
        checkpoint,
        out,
        targets=tuple(targets.split(",")),
        data=data,
        calibration=Calibration(calibration_photos, calibration),
        max_drop=max_drop,
        twin=twin,
        mirror=mirror,
        overwrite=force,
        say=lambda line: typer.echo(line, err=True),
    )
    _show(done)
    typer.echo(done.folder)


def _show(done: "Compressed") -> None:
    from rich.console import Console
    from rich.table import Table

    from .card import HEADINGS, row

    table = Table(
        title=done.manifest.id, box=None, header_style="dim", padding=(0, 1, 0, 0), pad_edge=False
    )
    for heading in HEADINGS:
        table.add_column(
            heading, justify="left" if heading == HEADINGS[0] else "right", no_wrap=True
        )
    for name, figures in done.figures.items():
        table.add_row(*row(name, figures))
    Console(stderr=True).print(table)
