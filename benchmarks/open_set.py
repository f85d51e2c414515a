"""How well birds of unknown species are told from known ones, by species that are left out.

    python -m birdedge.benchmarks.open_set CHECKPOINT

A fifth of the species is left out at a time. A linear classifier is fitted on the network's
features of the others' training photos; then scores of their validation photos are compared with
those of all photos of the species left out. The network itself has seen those species in its own
training, so that a bird of none of them would be told apart less well.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from ..compress.confidence import UNKNOWN_THRESHOLD, fit_temperature
from ..compress.model import Model
from ..compress.photos import batches, labels_of
from ..runtime.labels import Label
from ..runtime.predictions import energy, max_logit, softmax
from ..train.layouts import Photo
from ..train.probe import fit_linear, pooled_features
from .accuracy import auroc

_SCORES = {
    "max probability": lambda logits: softmax(logits).max(axis=-1),
    "max logit": max_logit,
    "energy": energy,
}
_KEPT = 0.95
"""Share of photos of known species that are to stay named."""

_REJECTED = (0.0, 0.01, 0.02, 0.05, 0.1)
"""Shares of photos of known species that the open-set score may reject, beside the probability."""


@dataclass(frozen=True)
class _Photos:
    """Photos' features ``[N, width]`` and species ``[N]``."""

    features: torch.Tensor
    species: NDArray[np.int64]

    def of(self, species: NDArray[np.int64]) -> "_Photos":
        chosen = np.isin(self.species, species)
        return _Photos(self.features[torch.from_numpy(chosen)], self.species[chosen])


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Of `birdedge train`; its features are used.")],
    data: Annotated[Path | None, typer.Option(help="Where its photos lie now.")] = None,
    folds: Annotated[int, typer.Option(min=2)] = 5,
) -> None:
    """Print, of each score, AUROC and how many strangers pass where 95 % of the known do."""
    model = Model.load(checkpoint, data, mirror=False)
    train = _photos(model, model.photos.train)
    val = _photos(model, model.photos.val)
    shuffled = np.random.default_rng(0).permutation(len(model.info.labels))
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in _SCORES}
    relatives = []
    rules: dict[float, list[tuple[float, float]]] = {share: [] for share in _REJECTED}
    for fold in range(folds):
        strange = np.sort(shuffled[fold::folds])
        known = np.sort(np.setdiff1d(shuffled, strange))
        learned, seen = train.of(known), val.of(known)
        weight, bias = fit_linear(
            learned.features, torch.from_numpy(np.searchsorted(known, learned.species)), len(known)
        )
        familiar = (seen.features @ weight.T + bias).numpy()
        strangers = [part.of(strange) for part in (train, val)]
        unknown = np.concatenate([(part.features @ weight.T + bias).numpy() for part in strangers])
        numbers = np.searchsorted(known, seen.species)
        temperature = fit_temperature(familiar, numbers)
        for share, pairs in rules.items():
            lowest = np.quantile(max_logit(familiar), share)
            named = [
                (softmax(logits, temperature).max(axis=-1) >= UNKNOWN_THRESHOLD)
                & (max_logit(logits) >= (lowest if share else -np.inf))
                for logits in (familiar, unknown)
            ]
            pairs.append((float(named[0].mean()), float(named[1].mean())))
        for name, score in _SCORES.items():
            figures[name].append(_separation(score(familiar), score(unknown)))
        species = np.concatenate([part.species for part in strangers])
        relatives.append(_relatives(model.info.labels, known, species, unknown))
    print("| score | AUROC | strangers named where 95% of the known are |\n|---|---:|---:|")
    for name, pairs in figures.items():
        auroc, passed = np.mean(pairs, axis=0)
        spread = np.std([pair[0] for pair in pairs])
        print(f"| {name} | {auroc:.3f} ± {spread:.3f} | {passed:.1%} |")
    print("\n| max logit rejects | known named | strangers named |\n|---:|---:|---:|")
    for share, pairs in rules.items():
        kept, passed = np.mean(pairs, axis=0)
        print(f"| {share:.0%} | {kept:.1%} | {passed:.1%} |")
    with_relatives, right = np.sum(relatives, axis=0)
    print(
        f"\n{int(with_relatives):,} photos are of species whose genus has others among the known; "
        f"of {right / with_relatives:.1%} the genus with the highest sum is the right one."
    )


def _photos(model: Model, photos: tuple[Photo, ...]) -> _Photos:
    preprocess = model.info.preprocess
    pictures = batches(photos, preprocess, model.photos.box_margin)
    numbers = labels_of(photos)

    def normalised() -> list[tuple[torch.Tensor, torch.Tensor]]:
        mean = torch.tensor(preprocess.mean)[:, None, None]
        std = torch.tensor(preprocess.std)[:, None, None]
        return [
            (
                (torch.from_numpy(batch).permute(0, 3, 1, 2) / 255 - mean) / std,
                torch.zeros(len(batch)),
            )
            for batch in pictures
        ]

    features, _ = pooled_features(model.network, iter(normalised()))
    return _Photos(features, numbers)


def _separation(known: NDArray[np.floating], unknown: NDArray[np.floating]) -> tuple[float, float]:
    """AUROC, and the share of unknown ones above the 5 % quantile."""
    threshold = np.quantile(known, 1 - _KEPT)
    return auroc(known, unknown), float((unknown >= threshold).mean())


def _relatives(
    labels: tuple[Label, ...],
    known: NDArray[np.int64],
    species: NDArray[np.int64],
    logits: NDArray[np.float32],
) -> tuple[int, int]:
    """Photos of strangers with a known relative of the same genus, and of how many it is found."""
    genera = np.array([label.scientific_name.split()[0] for label in labels])
    names, members = np.unique(genera[known], return_inverse=True)
    sums = softmax(logits) @ np.eye(len(names))[members]
    related = np.isin(genera[species], names)
    right = names[sums.argmax(axis=1)] == genera[species]
    return int(related.sum()), int((related & right).sum())


if __name__ == "__main__":
    typer.run(main)
