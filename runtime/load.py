"""From a bundle's folder to a classifier that is ready."""

from pathlib import Path

from .bundle import ModelBundle
from .classifier import Classifier
from .default import DEFAULT_MODEL
from .errors import BundleError
from .labels import Label, read_labels, shown_as
from .taxa import genera_of


def load_classifier(
    model: Path | str = DEFAULT_MODEL,
    labels: Path | None = None,
    target: str = "auto",
    threads: int | None = None,
    threshold: float | None = None,
    species: Path | None = None,
) -> Classifier:
    """Load a bundle, check it, and make it ready.

    Args:
        model: the bundle's folder; the one inside birdedge if not given.
        labels: a file of names to show instead of the bundle's own; see `shown_as`.
        target: one of its targets, or ``auto`` for the fastest on this machine.
        threads: threads per inference; see `Classifier`.
        threshold: instead of the bundle's own unknown threshold.
        species: a list of what occurs; see `read_occurrence`.

    Raises:
        OccurrenceError: the list of species is of no use.
        BundleError: the bundle is damaged, or the labels are not as many as its classes.
        BackendError: no engine here can run it, or the threads are too many.
    """
    bundle = ModelBundle.load(Path(model))
    own = bundle.manifest.labels
    if labels is not None:
        bundle = _renamed(bundle, labels)
    weights = None
    if species is not None:
        # For the few who have a list; a short run has no need of it.
        from .occurrence import read_occurrence

        weights = read_occurrence(species, own, bundle.manifest.labels)
    return Classifier(bundle, target, threads, threshold, weights)


def _renamed(bundle: ModelBundle, labels: Path) -> ModelBundle:
    own, lines = bundle.manifest.labels, read_labels(labels)
    if len(lines) != len(own):
        raise BundleError(
            f"{labels} has {len(lines):,} lines, {bundle.manifest.id} has {len(own):,} classes; "
            "write one line a class, in the order of `birdedge models info --json`"
        )
    shown: tuple[Label, ...] = tuple(map(shown_as, own, lines, genera_of(own)))
    manifest = bundle.manifest.model_copy(update={"labels": shown})
    return ModelBundle(bundle.folder, manifest)
