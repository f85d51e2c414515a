"""Who is to be compared: the targets of some bundles, and their peers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from ..runtime.bundle import ModelBundle
from ..runtime.errors import BundleError
from .contenders import BIRDEDGE, Contender

_BARE = {engine: f"bare {engine}" for engine in ("onnx", "openvino", "tflite", "ncnn")}


def contenders_of(
    folders: Sequence[Path],
    targets: Sequence[str] | None,
    threads: Sequence[int],
    batches: Sequence[int],
) -> list[Contender]:
    """Every target of some bundles, with each count of threads and pictures, in this order.

    Args:
        folders: of the bundles.
        targets: names to keep; all if not given.
        threads: counts to try.
        batches: likewise.

    Raises:
        BundleError: a bundle is damaged, two have one id, or none has a target of those names.
    """
    bundles = [ModelBundle.load(folder) for folder in folders]
    _refuse_twins(bundles)
    if targets is not None:
        known = {name for bundle in bundles for name in bundle.manifest.targets}
        for name in targets:
            if name not in known:
                raise BundleError(f"no bundle has a target {name!r}; there are {_listed(known)}")
    return [
        Contender(bundle.manifest.id, name, target.engine, BIRDEDGE, count, batch, bundle.folder)
        for count, bundle, batch in product(threads, bundles, batches)
        for name, target in bundle.manifest.targets.items()
        if targets is None or name in targets
    ]


def with_peers(contenders: Iterable[Contender]) -> Iterator[Contender]:
    """Each, and behind it the same file in a loop written from its engine's quick start.

    Batches have none: quick starts take one picture.
    """
    for contender in contenders:
        yield contender
        if contender.batch == 1 and contender.engine in _BARE:
            yield replace(contender, runner=_BARE[contender.engine])


def torch_peers(checkpoint: Path, contenders: Sequence[Contender]) -> Iterator[Contender]:
    """A checkpoint's network in PyTorch, as it is and compiled, next to the first contenders.

    Args:
        checkpoint: of `birdedge train`.
        contenders: their thread counts are taken, and pictures of the first one's size.
    """
    for threads in dict.fromkeys(contender.threads for contender in contenders):
        for runner in ("torch eager", "torch.compile"):
            yield replace(
                contenders[0], model=checkpoint.stem, target="torch-fp32", engine="torch",
                runner=runner, threads=threads, batch=1, checkpoint=checkpoint,
            )  # fmt: skip


def one_of_each(contenders: Iterable[Contender]) -> Iterator[Contender]:
    """Those that differ in what they answer, not just in how fast: one per model and target."""
    seen = set()
    for contender in contenders:
        if contender.runner == BIRDEDGE and (contender.model, contender.target) not in seen:
            seen.add((contender.model, contender.target))
            yield contender


def _refuse_twins(bundles: Sequence[ModelBundle]) -> None:
    ids = [bundle.manifest.id for bundle in bundles]
    for number, bundle in enumerate(bundles):
        if bundle.manifest.id in ids[:number]:
            other = bundles[ids.index(bundle.manifest.id)].folder
            raise BundleError(f"{bundle.folder} and {other} are both {bundle.manifest.id}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
