"""How a bundle was made, as it says of itself under ``provenance.compression``."""

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..runtime.bundle import sha256
from ..train.provenance import git_commit
from .accept import Accepted
from .cost import count_macs
from .model import Model
from .report import target_record


def compression_record(checkpoint: Path, model: Model, accepted: Accepted) -> dict[str, Any]:
    """What is known of every compression, as JSON.

    Args:
        checkpoint: what it began with.
        model: the network that was exported.
        accepted: its targets.
    """
    made = accepted.made
    return {
        "command": f"{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}",
        "git_commit": git_commit(),
        "checkpoint_sha256": sha256(checkpoint),
        "calibration": {
            name: asdict(item.calibration) for name, item in made.items() if item.calibration
        },
        "mirrored": model.mirrored,
        "macs": count_macs(model.network, model.info.preprocess.input_size),
        "in_float": {name: item.in_float for name, item in made.items() if item.in_float},
        "figures": {name: target_record(accepted.figures[name]) for name in made},
        "refused": accepted.refused,
        **({"pruning": model.info.pruning} if model.info.pruning else {}),
    }
