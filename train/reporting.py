"""What is said on stderr, above all what goes wrong: one line of it."""

import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from wandb.errors import Error as WandbError

from ..runtime.errors import BirdedgeError
from .mistyped import did_you_mean, is_setting
from .settings import Settings

# Hydra's answer to a setting that is not there; what it advises makes it refused by its name alone.
_NOT_THERE = re.compile(r"Could not override '(?P<name>[^']+)'\.\s+To append to your config .*")

# Of Lightning: the run's folder is there before it and not empty, and PyTorch has moved on.
_IDLE_WARNINGS = (
    ".* directory .* exists and is not empty",
    ".*isinstance.treespec, LeafSpec.* is deprecated",
    "The number of training batches .* is smaller than the logging interval",
)


def say(line: str) -> None:
    """Tell a person at the terminal; stdout is for data alone."""
    sys.stderr.write(f"{line}\n")


def hush_lightning() -> None:
    """Let Lightning tell what is wrong, not which processors are missing, nor its tips."""
    for message in _IDLE_WARNINGS:
        warnings.filterwarnings("ignore", message)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with one line on stderr where Hydra would print a traceback.

    Raises:
        SystemExit: 1 when birdedge could not do it, 2 when a setting is wrong.
    """
    try:
        yield
    except BirdedgeError as error:
        _end(_without_traceback(error), 1)
    except WandbError as error:
        _end(f"wandb: {error}", 1)
    except ValidationError as error:
        _end(_wrong_settings(error), 2)
    except HydraException as error:
        _end(_without_wrong_advice(str(error)), 2)
    except OmegaConfBaseException as error:
        _end(_with_its_name(error), 2)
    except MisconfigurationException as error:
        _end(str(error), 2)


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"birdedge: {' '.join(message.split())}\n")
    raise SystemExit(code)


def _without_traceback(error: BirdedgeError) -> str:
    """The message alone; a loader's worker process puts its whole traceback in front of it."""
    return str(error).rpartition(f"{type(error).__name__}: ")[2]


def _without_wrong_advice(message: str) -> str:
    """Hydra's message, without how to add a setting that nothing uses."""
    if (wrong := _NOT_THERE.match(message)) and not is_setting(name := wrong["name"]):
        return f"there is no setting {name}{did_you_mean(name)}"
    # Where Hydra looked for its files is of no use to a person who mistyped one.
    return message.partition("Config search path")[0]


def _with_its_name(error: OmegaConfBaseException) -> str:
    """The message alone, which may name but the last part of a setting's name."""
    message, name = str(error).partition("full_key")[0], error.full_key
    return message if name is None or name in message else f"{name}: {message}"


def _wrong_settings(error: ValidationError) -> str:
    # The groups stand in the whole configuration under their names.
    group = [] if error.title == Settings.__name__ else [error.title.lower()]
    told = []
    for problem in error.errors():
        name = ".".join(str(part) for part in (*group, *problem["loc"]))
        hint = did_you_mean(name) if problem["type"] == "extra_forbidden" else ""
        told.append(f"{name}: {problem['msg']}{hint}")
    return "; ".join(told)
