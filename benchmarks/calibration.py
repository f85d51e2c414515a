"""Which way of finding the ranges of INT8 activations suits a network: all of them, side by side.

    python -m birdedge.benchmarks.calibration CHECKPOINT

Measured on the photos held out from training, since a method is chosen by this.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ..compress.exporters import load_exporter
from ..compress.figures import top1
from ..compress.model import Model
from ..compress.photos import batches, draw_by_class, labels_of
from ..compress.quantizers import CalibrationSet, load_quantizer, quantize
from ..compress.verify import run_exported

ENGINES = ("onnx", "openvino", "tflite")


def main(
    checkpoint: Annotated[Path, typer.Argument(exists=True)],
    photos: Annotated[int, typer.Option(min=1, help="How many to calibrate on.")] = 256,
) -> None:
    """Print a table of all engines and methods."""
    model = Model.load(checkpoint, None, mirror=False)
    preprocess, margin = model.info.preprocess, model.photos.box_margin
    labels = labels_of(model.photos.val)
    val = np.concatenate([*batches(model.photos.val, preprocess, margin)])
    drawn = draw_by_class(model.photos.train, photos)
    pictures = np.concatenate([*batches(drawn, preprocess, margin)])
    print(f"{len(pictures)} photos to calibrate on, {len(val)} to judge by\n")
    print("| engine | method | top-1 | agreement | logit error |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for engine in ENGINES:
            source = load_exporter(engine).export(
                model.network, preprocess.input_size, Path(folder)
            )
            wanted = run_exported(source, preprocess, val)
            print(f"| {engine} | float | {top1(wanted, labels):.1%} | | |", flush=True)
            for method in load_quantizer(engine, "minmax").methods:
                calibration = CalibrationSet(pictures, preprocess, method)
                logits = run_exported(quantize(source, calibration, Path(folder)), preprocess, val)
                agreement = float((logits.argmax(axis=1) == wanted.argmax(axis=1)).mean())
                # Root mean square, as a share of how much the float logits differ.
                error = float(np.sqrt(np.square(logits - wanted).mean()) / wanted.std())
                print(
                    f"| {engine} | {method} | {top1(logits, labels):.1%} | {agreement:.1%} | "
                    f"{error:.1%} |",
                    flush=True,
                )


if __name__ == "__main__":
    typer.run(main)
