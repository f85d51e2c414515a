"""How small a network must be to answer in time: found by measuring it, not by counting."""

import copy
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from ..runtime.errors import CheckpointError
from ..runtime.golden import draw_golden_inputs
from ..runtime.preprocess import Preprocess
from .make import Made, Quantization, Say, make_targets
from .mirror import Mirrored
from .prune import LabelledBatches, Pruning, UnreachableGoalError, prune
from .quantizers import CalibrationSet
from .verify import BackendRunner

_WARM_UP, _ROUNDS = 5, 30

_LEAST = 0.05
"""No smaller share of the multiply-adds is tried."""

_HALVINGS = 5
"""Of the span in which the share lies: it is found to 3 %, which is about what a measurement is."""


@dataclass(frozen=True)
class Deadline:
    """How fast a target has to be on this machine.

    Attributes:
        milliseconds: median time of one picture.
        target: one of `TARGETS`, in whose engine it is measured.
    """

    milliseconds: float
    target: str


def share_in_time(
    network: nn.Module,
    preprocess: Preprocess,
    pruning: Pruning,
    deadline: Deadline,
    labelled: LabelledBatches,
    *,
    mirror: bool = False,
    say: Say = lambda line: None,
) -> float:
    """The largest share of a network's multiply-adds with which it meets a deadline; 1 if it does.

    Found by halving: each candidate is pruned, exported, quantized if the target is, and timed.

    Args:
        network: stays as it is.
        preprocess: for its input size.
        pruning: as it will be done; its share of multiply-adds is what is looked for.
        deadline: to be met.
        labelled: see `prune`.
        mirror: whether the target will answer each picture and its mirror image.
        say: told each measurement.

    Raises:
        CheckpointError: even the smallest is not fast enough.
        BackendError: a candidate cannot be exported, quantized or run.
    """

    def measure(share: float) -> float:
        candidate = copy.deepcopy(network)
        if share < 1:
            prune(candidate, preprocess.input_size, replace(pruning, macs=share), labelled)
        whole_model = Mirrored(candidate) if mirror else candidate
        seconds = time_target(whole_model, preprocess, deadline.target)
        say(f"{share:.0%} of the multiply-adds: {seconds * 1000:.1f} ms in {deadline.target}")
        return seconds * 1000

    wanted = deadline.milliseconds
    if measure(1.0) <= wanted:
        return 1.0
    low, high = _LEAST, 1.0
    try:
        least = measure(low)
    except UnreachableGoalError as error:
        low = error.least
        least = measure(low)
    if least > wanted:
        raise CheckpointError(
            f"with {low:.0%} of its multiply-adds the network still takes {least:.1f} ms in "
            f"{deadline.target} here; {wanted:g} ms cannot be reached by pruning"
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if measure(middle) <= wanted:
            low = middle
        else:
            high = middle
    return low


def time_target(network: nn.Module, preprocess: Preprocess, name: str) -> float:
    """Median seconds that a network takes for one picture as one of `TARGETS`, on this machine.

    Raises:
        BackendError: it cannot be exported, quantized or run.
    """
    pictures = draw_golden_inputs(preprocess.input_size)
    # Drawn pictures do for calibration: how long integers take does not hang on their values.
    quantization = Quantization(CalibrationSet(pictures, preprocess))
    with tempfile.TemporaryDirectory() as folder:
        network.eval()
        (made,) = make_targets(
            network, preprocess.input_size, [name], quantization, Path(folder), {}
        ).values()
        return time_made(made, preprocess)


def time_made(made: Made, preprocess: Preprocess) -> float:
    """Median seconds that a target takes for one picture on this machine.

    Raises:
        BackendError: it cannot be run.
    """
    picture = draw_golden_inputs(preprocess.input_size)[:1]
    run = BackendRunner(made.files, made.target, preprocess)
    try:
        times = []
        for _ in range(_WARM_UP + _ROUNDS):
            start = time.perf_counter()
            run(picture)
            times.append(time.perf_counter() - start)
    finally:
        run.close()
    return statistics.median(times[_WARM_UP:])
