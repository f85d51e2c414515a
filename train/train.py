"""`birdedge train`: photos in, one checkpoint out. The whole story is `run`."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
import wandb
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from omegaconf import DictConfig, OmegaConf
from torch import nn

from ..runtime.errors import DataError
from ..runtime.labels import Label
from ..runtime.preprocess import Preprocess
from .ancestors import may_have_learned
from .averaging import averaging
from .checkpoint import CheckpointInfo, Provenance, describe, save_checkpoint
from .data import Batch, BirdData
from .distill import Distillation, load_teacher
from .divergence import EndsWhenDiverged
from .layouts import read_dataset, species_labels
from .model import (
    check_input_size,
    create_network,
    has_folded_batch_norm,
    load_weights,
    restore_batch_norm,
)
from .module import BirdModule
from .normalisation import normalised_as
from .probe import fit_classifier
from .provenance import data_digest, git_commit
from .quantization_aware import SimulatedInt8
from .reporting import say
from .resume import (
    LAST,
    BestCheckpoint,
    EarlierMetrics,
    LastCheckpoint,
    SameSettings,
    StaysStopped,
    WholeFiles,
    first_epoch_of,
    resume_from,
)
from .settings import Distill, Loop, Settings, Wandb

CONFIGS = Path(__file__).parents[1] / "configs"

# ${birdedge_configs:FILE} names a file that ships beside the configuration, wherever that lies.
OmegaConf.register_new_resolver("birdedge_configs", lambda name: str(CONFIGS / name), replace=True)


@dataclass(frozen=True)
class Trained:
    """What a run left behind.

    Attributes:
        checkpoint: the safetensors file to compress or to distil from.
        metrics: figures of the kept weights, such as ``val/top1``: those in the checkpoint, in
            float, after quantization-aware training too.
    """

    checkpoint: Path
    metrics: dict[str, float]


def run(config: DictConfig, folder: Path) -> Trained:
    """Train as configured and write everything into a folder.

    Raises:
        DataError: the photos cannot be read, or show one species alone.
        CheckpointError: weights do not exist or do not fit.
        TrainingError: training diverged.
        OmegaConfBaseException, ValidationError: a setting is missing or wrong.
    """
    settings = Settings.of(config)
    L.seed_everything(settings.seed, workers=True, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    photos = settings.data
    dataset = read_dataset(photos.root)
    if len(dataset.classes) < 2:
        raise DataError(f"{photos.root} has one species alone; a network learns to tell two apart")
    digest = data_digest(dataset.train, photos.root)
    labels = species_labels(dataset.classes, photos.species)
    resume = resume_from(settings.resume)
    network, knows_species = _network(settings, labels)
    init_from = settings.model.init_from
    begun_with = None if init_from is None else describe(init_from)
    preprocess = _preprocess(settings, network, begun_with)
    check_input_size(network, preprocess.input_size)
    data = BirdData(
        dataset,
        preprocess,
        settings.augment,
        batch_size=photos.batch_size,
        workers=photos.workers,
        val_fraction=photos.val_fraction,
        box_margin=photos.box_margin,
        split_seed=photos.split_seed,
        seed=settings.seed,
        first_epoch=first_epoch_of(resume),
    )
    if data.val_photos:
        _warn_of_leaks(settings, digest)
    module = BirdModule(
        network,
        len(dataset.classes),
        preprocess,
        settings.augment,
        settings.optimizer,
        distillation=_distillation(settings.distill, dataset.classes, preprocess),
        seed=settings.seed,
    )
    if resume is None:
        _prepare(settings, module, data, knows_species=knows_species)
    int8 = SimulatedInt8(network) if settings.quantization_aware else None
    logger = _logger(config, settings.wandb, folder)
    written = _as_written(config)
    same = SameSettings(written, digest)
    if resume is not None:
        same.compare(resume)
    trainer = _trainer(
        settings.trainer, folder, logger, resume, same, validate=bool(data.val_photos)
    )
    say(f"training on {trainer.strategy.root_device}, {trainer.precision}")
    checkpoint = folder / "checkpoint.safetensors"
    with _recorded(settings.wandb):
        trainer.fit(module, data, ckpt_path=resume, weights_only=False)
        _take_best(trainer, module, resume)
        if int8 is not None:
            # What is written, and measured, is the network as it is used: in float.
            int8.remove()
        info = CheckpointInfo(
            architecture=settings.model.name,
            model_args=settings.model.args,
            labels=tuple(labels),
            preprocess=preprocess,
            provenance=_provenance(written, digest, logger, trainer),
            pruning=begun_with.pruning if begun_with else {},
        )
        try:
            metrics = _measure_best(module, data, settings.trainer.accelerator)
        except Exception:
            # A test photo, which is read here for the first time, must not cost what was learned.
            save_checkpoint(checkpoint, network, info)
            again = f"; resume={folder} measures them" if (folder / LAST).is_file() else ""
            say(f"{checkpoint} is whole, but without figures{again}")
            raise
        save_checkpoint(checkpoint, network, info.model_copy(update={"metrics": metrics}))
        _sum_up(logger, metrics)
    return Trained(checkpoint, metrics)


def _network(settings: Settings, labels: list[Label]) -> tuple[nn.Module, bool]:
    """The network to train, and whether its classifier knows any of the species already."""
    model, resumed = settings.model, settings.resume is not None
    from_hub = model.pretrained and model.init_from is None and not resumed
    if from_hub:
        say(f"fetching pretrained weights of {model.name} from the model hub")
    network = create_network(model.name, len(labels), pretrained=from_hub, **model.args)
    if model.init_from is None:
        return network, False
    # A run that goes on brings its classifier along.
    known = load_weights(network, model.init_from, labels, None if resumed else model.init_labels)
    if known and not resumed:
        say(f"{model.init_from} knows {known} of the {len(labels)} species")
    return network, known > 0


def _preprocess(
    settings: Settings, network: nn.Module, begun_with: CheckpointInfo | None
) -> Preprocess:
    from_hub = settings.model.pretrained and settings.model.init_from is None
    return normalised_as(
        settings.preprocess,
        None if begun_with is None else begun_with.preprocess,
        network.pretrained_cfg if from_hub else None,  # type: ignore[arg-type]
    )


def _warn_of_leaks(settings: Settings, digest: str) -> None:
    """Name what this run learns from, if that may have learned the validation photos."""
    for path in dict.fromkeys([settings.model.init_from, *settings.distill.teachers]):
        ancestor = path and describe(path)
        if ancestor and may_have_learned(ancestor.provenance, digest, settings.data):
            say(
                f"warning: {path} may have learned from photos that are held out now, which would "
                "flatter validation; it was not trained with this data.split_seed and "
                "data.val_fraction, or not on these photos"
            )


def _prepare(
    settings: Settings, module: BirdModule, data: BirdData, *, knows_species: bool
) -> None:
    """What a pretrained network may need before its first step, measured on the training photos."""
    probe = settings.probe

    def batches(views: int = 1) -> Iterator[Batch]:
        for images, labels in data.views(views):
            yield module.normalise(images), labels

    if has_folded_batch_norm(module.network) and not settings.optimizer.freeze_batch_norm:
        say("measuring batch-norm statistics")
        restore_batch_norm(module.network, (images for images, _ in batches()))
    if probe.views:
        say("fitting the classifier on frozen features")
        right = fit_classifier(
            module.network, batches(probe.views), probe.weight_decay, knows_species=knows_species
        )
        say(f"the linear probe names {right:.1%} of the training views")


def _distillation(
    settings: Distill, classes: tuple[str, ...], preprocess: Preprocess
) -> Distillation | None:
    if not settings.teachers:
        return None
    teachers = [load_teacher(path, classes) for path in settings.teachers]
    return Distillation(
        teachers, preprocess, temperature=settings.temperature, weight=settings.weight
    )


def _trainer(
    loop: Loop,
    folder: Path,
    logger: list[Logger],
    resume: Path | None,
    same: SameSettings,
    *,
    validate: bool,
) -> L.Trainer:
    callbacks: list[Callback] = [same, EarlierMetrics(resume), EndsWhenDiverged()]
    # With no photos held out there is no best epoch to choose: the last one is kept.
    if validate:
        callbacks.append(BestCheckpoint(folder, loop.monitor, loop.mode, resume))
    if validate and loop.patience:
        stopping = EarlyStopping(loop.monitor, mode=loop.mode, patience=loop.patience)
        callbacks += [stopping, StaysStopped()]
    # stdout is for the path of the checkpoint alone.
    callbacks += [LastCheckpoint(folder), RichProgressBar(console_kwargs={"stderr": True})]
    if loop.ema_decay:
        callbacks.append(averaging(loop.ema_decay, warmup=loop.ema_warmup))
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
            plugins=WholeFiles(),
            log_every_n_steps=10,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=None if validate else 0,
        )
    except ValueError as error:
        raise MisconfigurationException(str(error)) from error


def _logger(config: DictConfig, settings: Wandb, folder: Path) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(folder, name="", version="")]
    if settings.mode != "disabled":
        wandb_logger = WandbLogger(
            project=settings.project,
            save_dir=folder,
            mode=settings.mode,
            log_model=False,
            config=_plain(config),
        )
        loggers.append(wandb_logger)
    return loggers


@contextmanager
def _recorded(settings: Wandb) -> Iterator[None]:
    """End W&B's record with what is done here, and how it ended; and Ctrl-C as Ctrl-C."""
    exit_code = 1
    try:
        yield
        exit_code = 0
    except SystemExit as end:  # Lightning's answer to it
        raise KeyboardInterrupt from end
    finally:
        # Or whatever this process does next, a sweep or a compression, is written into its record.
        if settings.mode != "disabled":
            wandb.finish(exit_code)


def _sum_up(loggers: list[Logger], metrics: dict[str, float]) -> None:
    """Let W&B's summary tell of the weights that are kept, not of those of the last epoch."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update(metrics)


def _take_best(trainer: L.Trainer, module: BirdModule, resume: Path | None) -> None:
    """Load the best weights into the module."""
    # A resumed run with no epoch left to train wrote none: what it goes on from holds the average,
    # and Lightning has put the raw weights of the last step into the module.
    best = trainer.checkpoint_callback.best_model_path or resume  # type: ignore[union-attr]
    if best:  # none after no epoch at all
        state = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)


def _measure_best(module: BirdModule, data: BirdData, accelerator: str) -> dict[str, float]:
    """Figures of the best weights on the photos that are held out, and on those for tests."""
    # A fresh trainer: the averaging callback would swap its own weights in.
    judge = L.Trainer(
        accelerator=accelerator, devices=1, logger=False, enable_checkpointing=False,
        enable_model_summary=False, enable_progress_bar=False,
    )  # fmt: skip
    figures: dict[str, float] = {}
    if data.val_photos:
        figures |= dict(judge.validate(module, data, verbose=False)[0])
    if data.test_photos:
        figures |= dict(judge.test(module, data, verbose=False)[0])
    return {name: round(float(value), 5) for name, value in figures.items()}


def _provenance(
    settings: dict[str, Any], digest: str, loggers: list[Logger], trainer: L.Trainer
) -> Provenance:
    # "auto" says nothing of this machine.
    settings = settings | {"trainer": settings["trainer"] | {"precision": trainer.precision}}
    run_id = next((str(log.version) for log in loggers if isinstance(log, WandbLogger)), None)
    return Provenance(
        command=f"{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}",
        git_commit=git_commit(),
        data_digest=digest,
        config=settings,
        tracker_run=run_id,
    )


def _as_written(config: DictConfig) -> dict[str, Any]:
    """All settings; where the species table lies on this machine is of no use on another."""
    settings = _plain(config)
    settings["data"]["species"] = OmegaConf.to_container(config.data, resolve=False)["species"]  # type: ignore[index,call-overload]
    return settings


def _plain(config: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}
