"""Engines' own bench tools, where they are installed: they should say what we say."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..runtime.backends.amx import WITHOUT_AMX
from ..runtime.bundle import ModelBundle
from .contenders import Contender

_TURNS = 3
"""A machine that others use too is slower for a second now and then, and a tool's figure is one."""

_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}

Tool = Callable[[Path, str, int, int, float], float | None]


@dataclass(frozen=True)
class ToolFigure:
    """What a tool says.

    Attributes:
        tool: its name.
        milliseconds: its median of an inference.
        ours: median of the same contender just before and after, in milliseconds.
    """

    tool: str
    milliseconds: float
    ours: float

    @property
    def ratio(self) -> float:
        """What the tool says, as a multiple of ours."""
        return self.milliseconds / self.ours


def ask_tool(
    contender: Contender,
    time_ours: Callable[[], Sequence[float]],
    count: int,
    timeout: float,
    cores: frozenset[int] = frozenset(),
) -> ToolFigure | None:
    """Have an engine's own tool time a contender's file, one picture at a time.

    The two take turns, and the turn of the middle ratio counts.

    Args:
        contender: of a bundle.
        time_ours: gives the seconds of some inferences of it.
        count: inferences of the tool, each time.
        timeout: seconds that the tool may take, each time.
        cores: that it may use; all if none are named.

    Returns:
        Its figure; none if the engine has no tool, or it is not installed or fails.
    """
    bundle = ModelBundle.load(contender.folder)
    target = bundle.manifest.targets[contender.target]
    name, tool = _TOOLS.get(target.engine, ("", None))
    if tool is None or _installed(name) is None:
        return None
    height, width = bundle.manifest.preprocess.input_size
    sides = [1, 3, height, width] if target.layout == "NCHW" else [1, height, width, 3]
    file = bundle.target_files(contender.target)[0]
    shape = str(sides).replace(" ", "")
    turns: list[ToolFigure] = []
    # A machine may be faster or slower by now than it was in the rounds.
    before = time_ours()
    for _ in range(_TURNS):
        with _kept_to(cores):
            milliseconds = tool(file, shape, contender.threads, count, timeout)
        if milliseconds is None:
            return None
        after = time_ours()
        turns.append(ToolFigure(name, milliseconds, statistics.median([*before, *after]) * 1000))
        before = after
    return sorted(turns, key=lambda turn: turn.ratio)[_TURNS // 2]


def _benchmark_app(
    file: Path, shape: str, threads: int, count: int, timeout: float
) -> float | None:
    """OpenVINO's ``benchmark_app``, one request at a time; the median in milliseconds.

    It computes as birdedge does: in float32 where not in integers, without AMX, and for the shape
    of one picture (``-shape``; with ``-data_shape`` alone it would be ready for any number, and
    slower).
    """
    said = _run(
        [
            str(_installed("benchmark_app")), "-m", str(file), "-d", "CPU", "-api", "sync",
            "-hint", "none", "-nthreads", str(threads), "-niter", str(count), "-shape", shape,
            "-infer_precision", "f32",
        ],
        timeout,
    )  # fmt: skip
    median = re.search(r"Median:\s+([\d.]+) (us|ms|s)\b", said or "")
    return float(median[1]) * _MILLISECONDS[median[2]] if median else None


def _litert_benchmark(
    file: Path, shape: str, threads: int, count: int, timeout: float
) -> float | None:
    """LiteRT's ``litert-benchmark``; the median in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        said = _run(
            [
                str(_installed("litert-benchmark")), "--model", str(file), "--num_runs", str(count),
                "--num_threads", str(threads), "--result_json", str(result),
            ],
            timeout,
        )  # fmt: skip
        if said is None or not result.is_file():
            return None
        try:
            figures = json.loads(result.read_text(encoding="utf-8"))
            return float(figures["latency"]["median_ms"])
        except (ValueError, KeyError, TypeError):
            return None


_TOOLS: dict[str, tuple[str, Tool]] = {
    "openvino": ("benchmark_app", _benchmark_app),
    "tflite": ("litert-benchmark", _litert_benchmark),
}


def _installed(name: str) -> str | None:
    """A tool of this environment, or else of the system's."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name)


@contextmanager
def _kept_to(cores: frozenset[int]) -> Iterator[None]:
    """Whatever is started meanwhile has these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _run(command: Sequence[str], timeout: float) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout, check=True,
            env=WITHOUT_AMX | os.environ,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
