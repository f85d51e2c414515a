"""Recovery: a pruned network learns its parent's answers, in training's own loop.

As in `Distillation`, on mixed views and without labels; what the parent was trained with decides
the rest.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ..runtime.bundle import sha256
from ..runtime.errors import CheckpointError
from ..train.checkpoint import load_checkpoint
from ..train.resume import LAST, what_counts
from ..train.train import CONFIGS, Trained, run

RECIPE = CONFIGS / "recover.yaml"
"""What recovery changes in the parent's configuration."""

_MADE_FROM = "recovered_from.json"


def recover(
    pruned: Path,
    parent: Path,
    folder: Path,
    settings: Sequence[str] = (),
    data: Path | None = None,
) -> Trained:
    """Train a pruned network to answer as its parent does.

    An interrupted recovery goes on where it stopped when it is called again with the same folder.

    Args:
        pruned: checkpoint of the network to train.
        parent: checkpoint of the network that it was cut from, or any other teacher.
        folder: for the run; the checkpoint lies in it afterwards.
        settings: changes to ``configs/recover.yaml``, such as ``trainer.epochs=5``.
        data: where the photos lie, if not where training found them.

    Raises:
        CheckpointError: a checkpoint is damaged, the two know other classes, or the folder holds a
            run of others or of other settings.
        DataError: the photos are missing.
        OmegaConfBaseException, ValidationError: a setting is wrong.
    """
    config = _configuration(pruned, parent, settings, data)
    made_from = {
        "pruned": sha256(pruned),
        "parent": sha256(parent),
        "config": OmegaConf.to_container(config, resolve=True),
    }
    note = folder / _MADE_FROM
    if (folder / LAST).is_file():
        if not note.is_file() or not _same(json.loads(note.read_text(encoding="utf-8")), made_from):
            raise CheckpointError(f"{folder} holds another run; choose another --out")
        config.resume = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(made_from, indent=1), encoding="utf-8")
    return run(config, folder)


def teachers_of(
    pruned: Path, parent: Path, settings: Sequence[str] = (), data: Path | None = None
) -> list[str]:
    """SHA-256 of the files that a recovery learns from; see `recover` for what is given."""
    teachers = _configuration(pruned, parent, settings, data).distill.teachers or []
    return [sha256(file) if file.is_file() else "" for file in map(Path, teachers)]


def _same(then: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether a run was made from the same files with the same settings."""
    if any(then.get(name) != now[name] for name in ("pruned", "parent")):
        return False
    before, after = (what_counts(made["config"]) for made in (then, now))
    # A setting that one of the two does not know came or went with a version of birdedge.
    return all(before[name] == after[name] for name in before.keys() & after.keys())


def _configuration(
    pruned: Path, parent: Path, settings: Sequence[str], data: Path | None
) -> DictConfig:
    of_pruned, _ = load_checkpoint(pruned)
    of_parent, _ = load_checkpoint(parent)
    if of_pruned.labels != of_parent.labels:
        raise CheckpointError(f"{parent} cannot teach {pruned}: they know other classes")
    if "data" not in of_parent.provenance.config:
        raise CheckpointError(
            f"{parent} does not say what it was trained on; make one with `birdedge train`"
        )
    defaults = OmegaConf.load(CONFIGS / "train.yaml")
    assert isinstance(defaults, DictConfig)
    for part in ("defaults", "hydra"):  # for Hydra alone
        del defaults[part]
    # The teacher may be of another architecture.
    model = {
        "name": of_pruned.architecture,
        "pretrained": False,
        "init_from": str(pruned),
        "init_labels": None,
        "args": of_pruned.model_args,
    }
    config = OmegaConf.merge(
        defaults,
        of_parent.provenance.config | {"model": model},
        OmegaConf.load(RECIPE),
        {
            "name": f"{of_parent.provenance.config.get('name', 'network')}-recovered",
            "distill": {"teachers": [str(parent)]},
        },
        {} if data is None else {"data": {"root": str(data)}},
    )
    assert isinstance(config, DictConfig)
    OmegaConf.set_struct(config, True)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or isinstance(OmegaConf.select(config, name), DictConfig):
            raise OmegaConfBaseException(
                f"{setting!r} is no setting; trainer.epochs=5 would be one"
            )
        try:
            parsed = OmegaConf.from_dotlist([f"value={value}"])["value"]
        except YAMLError as error:
            raise OmegaConfBaseException(f"{setting!r} cannot be read: {error}") from error
        OmegaConf.update(config, name, parsed)
    return config
