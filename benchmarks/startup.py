"""What the command line adds: one picture against a bare script, `--help` against an empty one.

    python -m birdedge.benchmarks.startup PICTURE

Rounds are interleaved, so that a busy machine slows all alike; the ratio is of medians. "At a
terminal" is the same command with a table to draw. "With Typer and Pydantic" is the bare script as
a command that checks its options and a description of the model: what is more than that is ours.
Best measured where nothing but the runtime is installed, as on a small board.
"""

import os
import pty
import shutil
import statistics
import subprocess
import sys
import sysconfig
import textwrap
import time
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.bundle import ModelBundle
from ..runtime.default import DEFAULT_MODEL

AT_A_TERMINAL = "... at a terminal"

BARE = """
import sys
import numpy as np
import onnxruntime
from PIL import Image
model, picture, threads = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
image = Image.open(picture).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
pixels = (np.asarray(image, dtype=np.float32) / 255 - 0.5) / 0.5
logits = session.run(None, {session.get_inputs()[0].name: pixels.transpose(2, 0, 1)[None]})[0][0]
probabilities = np.exp(logits - logits.max())
best = int(probabilities.argmax())
print(best, probabilities[best] / probabilities.sum())
"""


AS_COMMAND = f"""
from pathlib import Path
from typing import Annotated
import typer
from pydantic import BaseModel, Field
class Model(BaseModel, frozen=True, extra="forbid"):
    file: Path
    threads: Annotated[int, Field(gt=0)]
def main(model: str, picture: str, threads: Annotated[int, typer.Argument(min=1)]) -> None:
    Model.model_validate_json('{{"file": "model.onnx", "threads": 2}}')
{textwrap.indent(BARE.replace("model, picture, threads = sys.argv[1:]", ""), "    ")}
typer.run(main)
"""


def main(
    picture: Annotated[Path, typer.Argument(exists=True)],
    rounds: Annotated[int, typer.Option(min=3)] = 15,
) -> None:
    """Print both ratios."""
    bundle = ModelBundle.load(DEFAULT_MODEL)
    model = str(bundle.target_files("onnx-int8")[0])
    birdedge = _installed()
    classify = [birdedge, "classify", str(picture), "--threads", "2"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "birdedge --help": [birdedge, "--help"],
        "bare script": [sys.executable, "-c", BARE, model, str(picture), "2"],
        "... with Typer and Pydantic": [
            sys.executable,
            "-c",
            AS_COMMAND,
            model,
            str(picture),
            "2",
        ],
        "birdedge classify": classify,
        "birdedge classify --json": [*classify, "--json"],
        AT_A_TERMINAL: classify,
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            run = _at_a_terminal if name == AT_A_TERMINAL else _piped
            start = time.perf_counter()
            run(command)
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, value in median.items():
        print(f"{name:<28}{value * 1000:8.0f} ms")
    bare = median["bare script"]
    print(
        f"classify / bare script          {median['birdedge classify'] / bare:.2f} x (at most 1.5)"
    )
    print(f"classify --json / bare script   {median['birdedge classify --json'] / bare:.2f} x")
    print(f"at a terminal / bare script     {median[AT_A_TERMINAL] / bare:.2f} x")
    framed = median["birdedge classify"] / median["... with Typer and Pydantic"]
    print(f"classify / with Typer, Pydantic {framed:.2f} x")
    extra = median["birdedge --help"] - median["python -c pass"]
    print(f"--help - python -c pass         {extra:.3f} s (at most 0.25)")


def _installed() -> str:
    """The command of this environment, as people type it; `python -m` takes longer to start."""
    command = shutil.which("birdedge", path=sysconfig.get_path("scripts"))
    if command is None:
        raise typer.BadParameter("install birdedge here first: pip install .")
    return command


def _piped(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _at_a_terminal(command: list[str]) -> None:
    ours, theirs = pty.openpty()
    try:
        # What one picture prints fits into the terminal's buffer, so nobody need read it.
        subprocess.run(command, check=True, stdout=theirs, stderr=theirs)
    finally:
        os.close(theirs)
        os.close(ours)


if __name__ == "__main__":
    typer.run(main)
