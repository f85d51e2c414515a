"""`birdedge train` as Hydra runs it: settings in, the checkpoint's path on stdout."""

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from .reporting import hush_lightning, one_line_errors, say
from .resume import LAST
from .train import CONFIGS, run


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
def _job(config: DictConfig) -> float:
    """What Hydra calls; returns the validation figure, which its sweepers optimise."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    shown = Path(os.path.relpath(folder))
    try:
        with one_line_errors():
            trained = run(config, folder)
    except KeyboardInterrupt:
        if (folder / LAST).is_file():
            say(f"stopped; go on with the same command and resume={shown}")
        raise
    for name, value in sorted(trained.metrics.items()):
        say(f"{name:>18}  {value:.4f}")
    sys.stdout.write(f"{shown / trained.checkpoint.name}\n")
    return trained.metrics.get(config.trainer.monitor, float("nan"))


def main() -> None:
    """Train as the command line says: exit code 0, 1 when it failed, 2 for a wrong setting."""
    hush_lightning()
    # Otherwise Hydra reports a mistyped setting itself, with hints about its own tracebacks.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with one_line_errors():
        _job()
