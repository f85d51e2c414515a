"""Images per second of `birdedge classify FOLDER` against bare `session.run` plus decode.

    python -m birdedge.benchmarks.throughput FOLDER

Both run as whole processes on the same photos, model and threads, in alternating rounds. The bare
loop is the one of ONNX Runtime's quick start: decode, resize, normalise, run, picture by picture.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.bundle import ModelBundle
from ..runtime.default import DEFAULT_MODEL

BARE = """
import sys
from pathlib import Path
import numpy as np
import onnxruntime
from PIL import Image
model, folder, threads = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
for picture in sorted(Path(folder).rglob("*.jpg")):
    image = Image.open(picture).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    pixels = (np.asarray(image, dtype=np.float32) / 255 - 0.5) / 0.5
    logits = session.run(None, {name: pixels.transpose(2, 0, 1)[None]})[0][0]
    print(picture, int(logits.argmax()))
"""


def main(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    threads: Annotated[int, typer.Option(min=1)] = 2,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Print images per second of both, and their ratio."""
    model = str(ModelBundle.load(DEFAULT_MODEL).target_files("onnx-int8")[0])
    count = sum(1 for _ in folder.rglob("*.jpg"))
    commands = {
        "bare session.run": [sys.executable, "-c", BARE, model, str(folder), str(threads)],
        "birdedge classify": [
            sys.executable, "-m", "birdedge", "classify", str(folder), "--json",
            "--threads", str(threads),
        ],
    }  # fmt: skip
    rates: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            rates[name].append(count / (time.perf_counter() - start))
    for name, values in rates.items():
        print(f"{name:<20}{statistics.median(values):7.0f} images/s of {count:,}")
    ratios = [
        ours / bare
        for ours, bare in zip(rates["birdedge classify"], rates["bare session.run"], strict=True)
    ]
    print(f"ratio               {statistics.median(ratios):7.2f} (at least 0.90)")


if __name__ == "__main__":
    typer.run(main)
