"""`birdedge train`: photos in, one checkpoint out. The whole story is `run`."""

import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import lightning as L
import torch
from hydra.core.hydra_config import HydraConfig
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    RichProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from omegaconf import DictConfig, OmegaConf
from torch import nn

from ..runtime.preprocess import Preprocess
from .augment import Augment
from .checkpoint import (
    CheckpointInfo,
    Provenance,
    checkpoint_info,
    read_safetensors,
    save_checkpoint,
)
from .data import Batch, BirdData
from .distill import Distillation, load_teacher
from .layouts import Dataset, read_dataset, species_labels
from .model import create_network, has_folded_batch_norm, restore_batch_norm
from .module import BirdModule, Optimizer
from .probe import Probe, fit_classifier
from .provenance import data_digest, git_commit
from .quantization_aware import SimulatedInt8
from .reporting import hush_lightning, one_line_errors
from .resume import LAST, BestCheckpoint, EarlierMetrics, LastCheckpoint, resume_from
from .settings import Distill, Loop

CONFIGS = Path(__file__).parents[1] / "configs"

# ${birdedge_configs:FILE} names a file that ships beside the configuration, wherever that lies.
OmegaConf.register_new_resolver("birdedge_configs", lambda name: str(CONFIGS / name), replace=True)


@dataclass(frozen=True)
class Trained:
    """What a run left behind.

    Attributes:
        checkpoint: the safetensors file to compress or to distil from.
        metrics: figures of the kept weights, such as ``val/top1``.
    """

    checkpoint: Path
    metrics: dict[str, float]


def run(config: DictConfig, folder: Path) -> Trained:
    """Train as configured and write everything into a folder.

    Raises:
        DataError: the photos cannot be read.
        CheckpointError: weights do not exist or do not fit.
    """
    L.seed_everything(config.seed, workers=True, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    loop = Loop.model_validate(OmegaConf.to_container(config.trainer))
    dataset = read_dataset(Path(config.data.root))
    preprocess = Preprocess.model_validate(OmegaConf.to_container(config.preprocess))
    augment = Augment.model_validate(OmegaConf.to_container(config.augment))
    data = BirdData(
        dataset,
        preprocess,
        augment,
        batch_size=config.data.batch_size,
        workers=config.data.workers,
        val_fraction=config.data.val_fraction,
        box_margin=config.data.box_margin,
        seed=config.seed,
    )
    network = _network(config, len(dataset.classes))
    module = BirdModule(
        network,
        len(dataset.classes),
        preprocess,
        augment,
        Optimizer.model_validate(OmegaConf.to_container(config.optimizer)),
        distillation=_distillation(config, len(dataset.classes), preprocess),
        seed=config.seed,
    )
    resume = resume_from(config.resume)
    if resume is None:
        _prepare(config, module, data)
    int8 = SimulatedInt8(network) if config.quantization_aware else None
    logger = _logger(config, folder)
    trainer = _trainer(loop, folder, logger, resume, validate=bool(data.val_photos))
    _say(f"training on {trainer.strategy.root_device}, {trainer.precision}")
    try:
        trainer.fit(module, data, ckpt_path=resume, weights_only=False)
    except SystemExit as end:  # Lightning's answer to Ctrl-C
        raise KeyboardInterrupt from end
    metrics = _measure_best(trainer, module, data)
    if int8 is not None:
        int8.remove()
    info = CheckpointInfo(
        architecture=config.model.name,
        model_args=_plain(config.model.args),
        labels=tuple(species_labels(dataset.classes, _optional_path(config.data.species))),
        preprocess=preprocess,
        metrics=metrics,
        provenance=_provenance(config, dataset, logger, trainer),
        pruning=_pruning(_optional_path(config.model.init_from)),
    )
    checkpoint = folder / "checkpoint.safetensors"
    save_checkpoint(checkpoint, module.network, info)
    return Trained(checkpoint, metrics)


def _network(config: DictConfig, classes: int) -> nn.Module:
    return create_network(
        config.model.name,
        classes,
        pretrained=config.model.pretrained and config.resume is None,
        init_from=_optional_path(config.model.init_from),
        **_plain(config.model.args),
    )


def _prepare(config: DictConfig, module: BirdModule, data: BirdData) -> None:
    """What a pretrained network may need before its first step, measured on the training photos."""
    probe = Probe.model_validate(OmegaConf.to_container(config.probe))

    def batches(views: int = 1) -> Iterator[Batch]:
        for images, labels in data.views(views):
            yield module.normalise(images), labels

    if has_folded_batch_norm(module.network) and not config.optimizer.freeze_batch_norm:
        _say("measuring batch-norm statistics")
        restore_batch_norm(module.network, (images for images, _ in batches()))
    if probe.views:
        _say("fitting the classifier on frozen features")
        right = fit_classifier(module.network, batches(probe.views), probe.weight_decay)
        _say(f"the linear probe names {right:.1%} of the training views")


def _distillation(config: DictConfig, classes: int, preprocess: Preprocess) -> Distillation | None:
    settings = Distill.model_validate(OmegaConf.to_container(config.distill))
    if not settings.teachers:
        return None
    teachers = [load_teacher(path, classes) for path in settings.teachers]
    return Distillation(
        teachers, preprocess, temperature=settings.temperature, weight=settings.weight
    )


def _trainer(
    loop: Loop, folder: Path, logger: list[Logger], resume: Path | None, *, validate: bool
) -> L.Trainer:
    callbacks: list[Callback] = [EarlierMetrics(resume)]
    # With no photos held out there is no best epoch to choose: the last one is kept.
    if validate:
        callbacks.append(BestCheckpoint(folder, loop.monitor, loop.mode, resume))
    if validate and loop.patience:
        callbacks.append(EarlyStopping(loop.monitor, mode=loop.mode, patience=loop.patience))
    # stdout is for the path of the checkpoint alone.
    callbacks += [LastCheckpoint(folder), RichProgressBar(console_kwargs={"stderr": True})]
    if loop.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=loop.ema_decay))
    try:
        return L.Trainer(
            default_root_dir=folder,
            max_epochs=loop.epochs,
            accelerator=loop.accelerator,
            devices=loop.devices,
            strategy=loop.strategy,
            precision=loop.resolved_precision,
            gradient_clip_val=loop.gradient_clip,
            accumulate_grad_batches=loop.accumulate,
            deterministic=loop.deterministic,
            logger=logger,
            callbacks=callbacks,
            log_every_n_steps=10,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=None if validate else 0,
        )
    except ValueError as error:
        raise MisconfigurationException(str(error)) from error


def _logger(config: DictConfig, folder: Path) -> list[Logger]:
    settings: dict[str, Any] = _plain(config)
    loggers: list[Logger] = [CSVLogger(folder, name="", version="")]
    if config.wandb.mode != "disabled":
        wandb_logger = WandbLogger(
            project=config.wandb.project,
            save_dir=folder,
            mode=config.wandb.mode,
            log_model=False,
            config=settings,
        )
        loggers.append(wandb_logger)
    return loggers


def _measure_best(trainer: L.Trainer, module: BirdModule, data: BirdData) -> dict[str, float]:
    """Load the best weights into the module and measure them."""
    best = trainer.checkpoint_callback.best_model_path  # type: ignore[union-attr]
    if best:  # none after no epoch at all
        state = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)
    # A fresh trainer: the averaging callback would swap its own weights in.
    judge = L.Trainer(
        accelerator="auto", devices=1, logger=False, enable_checkpointing=False,
        enable_model_summary=False, enable_progress_bar=False,
    )  # fmt: skip
    figures: dict[str, float] = {}
    if data.val_photos:
        figures |= dict(judge.validate(module, data, verbose=False)[0])
    if data.test_photos:
        figures |= dict(judge.test(module, data, verbose=False)[0])
    return {name: round(float(value), 5) for name, value in figures.items()}


def _pruning(init_from: Path | None) -> dict[str, Any]:
    """How the network that training began with was pruned, if it was."""
    if init_from is None:
        return {}
    _, metadata = read_safetensors(init_from)
    begun_with = checkpoint_info(init_from, metadata)
    return {} if begun_with is None else begun_with.pruning


def _provenance(
    config: DictConfig, dataset: Dataset, loggers: list[Logger], trainer: L.Trainer
) -> Provenance:
    settings = _plain(config)
    settings["trainer"]["precision"] = trainer.precision  # "auto" says nothing of this machine
    # As it was written: where it lies on this machine is of no use on another.
    settings["data"]["species"] = OmegaConf.to_container(config.data, resolve=False)["species"]  # type: ignore[index,call-overload]
    run_id = next((str(log.version) for log in loggers if isinstance(log, WandbLogger)), None)
    return Provenance(
        command=f"{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}",
        git_commit=git_commit(),
        data_digest=data_digest(dataset.train, Path(config.data.root)),
        config=settings,
        tracker_run=run_id,
    )


def _optional_path(value: str | None) -> Path | None:
    return None if value is None else Path(value)


def _plain(config: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}


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
            _say(f"stopped; go on with the same command and resume={shown}")
        raise
    for name, value in sorted(trained.metrics.items()):
        _say(f"{name:>18}  {value:.4f}")
    sys.stdout.write(f"{shown / trained.checkpoint.name}\n")
    return trained.metrics.get(config.trainer.monitor, float("nan"))


def main() -> None:
    """Train as the command line says: exit code 0, 1 when it failed, 2 for a wrong setting."""
    hush_lightning()
    # Otherwise Hydra reports a mistyped setting itself, with hints about its own tracebacks.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with one_line_errors():
        _job()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
