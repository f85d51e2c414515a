"""How often linear probes are wrong, in cross-validation on the training photos.

    python -m birdedge.benchmarks.probes CHECKPOINT --labels LABELS

What might better a classifier that is fitted on frozen features (`train.probe`) is judged by this:
test photos choose nothing, and a few hundred held-out ones do not tell two good probes apart. Each
photo is named, together with its mirror image, by a probe that did not learn from it. Which photos
all probes name wrong, and which species they take them for, tells what no such probe can mend.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..compress.model import Model
from ..train.augment import Augment
from ..train.classifier import classifier_of
from ..train.data import Batch, BirdData
from ..train.layouts import Dataset
from ..train.model import create_network, load_weights
from ..train.probe import fit_linear, pooled_features

Line = tuple[Tensor, Tensor]
"""A classifier's weights ``[classes, width]`` and bias ``[classes]``."""


@dataclass(frozen=True)
class _Views:
    """Features ``[photos, width]`` of each photo in its different views.

    Attributes:
        species: of the photos, ``[photos]``.
        plain: as the device sees them.
        mirrored: those, mirrored.
        random: as training sees them, one tensor for each view.
    """

    species: Tensor
    plain: Tensor
    mirrored: Tensor
    random: list[Tensor]


def main(
    checkpoint: Annotated[
        Path, typer.Argument(exists=True, help="Of `birdedge train`; says photos and weights.")
    ],
    labels: Annotated[
        Path | None, typer.Option(exists=True, help="What the weights tell apart.")
    ] = None,
    views: Annotated[int, typer.Option(min=0, help="Random views of each photo.")] = 3,
    weight_decays: Annotated[list[float], typer.Option("--weight-decay", min=0)] = [0.03],  # noqa: B006
    folds: Annotated[int, typer.Option(min=2)] = 5,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
) -> None:
    """Print a table of probes, and what they are wrong about together.

    Of each: how many photos it names wrong, how many have another name than its first two, and its
    log loss.
    """
    model = Model.load(checkpoint, None, mirror=False)
    begun_with = model.info.provenance.config["model"]["init_from"]
    if begun_with is None:
        raise typer.BadParameter(f"{checkpoint} began with no weights of a file")
    network = create_network(
        model.info.architecture, len(model.info.labels), **model.info.model_args
    )
    known = load_weights(network, Path(begun_with), model.info.labels, labels)
    seen = _look(model, network, views)
    fold_of = _folds(seen.species.numpy(), folds, seed)
    learned = {"a photo, its mirror image": [seen.plain, seen.mirrored]}
    if views:
        learned[f"a photo, {views} random views"] = [seen.plain, *seen.random]
    starts: dict[str, Line | None] = {"0": None}
    if known:
        classifier = classifier_of(network)
        starts[f"{known} known species"] = classifier.weight.detach(), classifier.bias.detach()
    print(f"{len(seen.species)} photos, {folds} folds (seed {seed})\n")
    print("| fitted on | towards | weight decay | wrong | not in first two | log loss |")
    print("|---|---|---:|---:|---:|---:|")
    named = []
    for fitted_on, features in learned.items():
        for towards, start in starts.items():
            for weight_decay in weight_decays:
                logits = _cross_validated(seen, features, start, weight_decay, fold_of)
                cells = (
                    f"{fitted_on} | {towards} | {weight_decay:g} | {_judge(logits, seen.species)}"
                )
                print(f"| {cells} |", flush=True)
                named.append(logits.argmax(dim=1))
    _say_where_all_fail([label.name for label in model.info.labels], seen.species, named)


def _look(model: Model, network: nn.Module, views: int) -> _Views:
    """Features of all views of the training photos, in the photos' order."""
    photos, preprocess = model.photos.train, model.info.preprocess
    # Random views come shuffled: each batch brings its photos' numbers along instead of species.
    numbered = tuple(replace(photo, label=number) for number, photo in enumerate(photos))
    classes = tuple(str(number) for number in range(len(numbered)))
    augment = Augment.model_validate(model.info.provenance.config["augment"])
    data = BirdData(
        Dataset(classes, numbered, ()), preprocess, augment, batch_size=32, workers=1,
        val_fraction=0, box_margin=model.photos.box_margin,
    )  # fmt: skip
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (preprocess.mean, preprocess.std))

    def normalised(batches: Iterator[Batch], mirror: bool = False) -> Iterator[Batch]:
        for images, numbers in batches:
            scaled = (images.float() / 255 - mean) / std
            yield scaled.flip(3) if mirror else scaled, numbers

    features, numbers = pooled_features(network, normalised(data.views(1 + views)))
    ordered = [
        part[order.argsort()]
        for part, order in zip(features.chunk(1 + views), numbers.chunk(1 + views), strict=True)
    ]
    mirrored, _ = pooled_features(network, normalised(data.views(1), mirror=True))
    species = torch.tensor([photo.label for photo in photos])
    return _Views(species, ordered[0], mirrored, ordered[1:])


def _folds(species: NDArray[np.int64], folds: int, seed: int) -> Tensor:
    """The fold of each photo, ``[photos]``: as many of each species in one as in another."""
    chooser = np.random.default_rng(seed)
    fold_of = np.empty(len(species), np.int64)
    for number in np.unique(species):
        places = chooser.permutation(np.flatnonzero(species == number))
        fold_of[places] = (np.arange(len(places)) + chooser.integers(folds)) % folds
    return torch.from_numpy(fold_of)


def _cross_validated(
    seen: _Views, learned: list[Tensor], start: Line | None, weight_decay: float, fold_of: Tensor
) -> Tensor:
    """Logits ``[photos, classes]``, of each photo by the probe that did not learn from it."""
    classes = int(seen.species.max()) + 1
    logits = torch.empty(len(seen.species), classes)
    for fold in range(int(fold_of.max()) + 1):
        kept, held_out = fold_of != fold, fold_of == fold
        features = torch.cat([view[kept] for view in learned])
        species = seen.species[kept].repeat(len(learned))
        weight, bias = fit_linear(features, species, classes, weight_decay, start)
        # The mean of two answers of a linear classifier is its answer to their mean.
        both = (seen.plain[held_out] + seen.mirrored[held_out]) / 2
        logits[held_out] = both @ weight.T + bias
    return logits


def _judge(logits: Tensor, species: Tensor) -> str:
    """Cells of the table: wrong, not in the first two, mean log loss in nats."""
    first_two = logits.topk(2, dim=1).indices == species[:, None]
    wrong, in_neither = (~first_two[:, 0]).sum(), (~first_two.any(dim=1)).sum()
    return f"{wrong} | {in_neither} | {F.cross_entropy(logits, species):.3f}"


def _say_where_all_fail(labels: list[str], species: Tensor, named: list[Tensor]) -> None:
    """Which photos no probe names right, and what the last one takes them for."""
    wrong = torch.stack(named) != species
    by_all = wrong.all(dim=0)
    some, all_ = int(wrong.any(dim=0).sum()), int(by_all.sum())
    print(f"\n{some} photos are named wrong by some probe, {all_} by all:")
    mistakes = zip(species[by_all].tolist(), named[-1][by_all].tolist(), strict=True)
    pairs = Counter(" / ".join(sorted((labels[right], labels[given]))) for right, given in mistakes)
    for pair, count in pairs.most_common(10):
        print(f"- {count} {pair}")


if __name__ == "__main__":
    typer.run(main)
