"""From verified targets to a bundle: manifest, golden logits, model card."""

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..runtime.activation import write_classifier
from ..runtime.backends import default_threads, load_backend
from ..runtime.bundle import ModelBundle, describe_file, write_manifest
from ..runtime.errors import BundleError
from ..runtime.golden import draw_golden_inputs, model_input, self_test, write_golden
from ..runtime.manifest import Manifest, OpenSet
from ..runtime.preprocess import Preprocess
from ..train.checkpoint import CheckpointInfo
from .card import CARD, TargetFigures, write_card
from .confidence import UNKNOWN_THRESHOLD
from .make import Made
from .targets import TARGETS

_CUB = "CUB-200-2011 allows research and non-commercial use; so do these weights."

LICENSES = {"cub100": _CUB, "cub200": _CUB}
"""What may be done with weights trained on a data set, by its name in the configuration."""

# Not after a colon, a letter or a dot: addresses and relative paths stay whole.
_FOLDERS = re.compile(r"(?<![\w.:/~-])/(?:[^/\s'\"]+/)+")

_OTHER_LICENSE = "These weights may be used as the photos they were trained on allow."


@dataclass(frozen=True)
class Contents:
    """All that goes into a bundle besides the targets.

    Attributes:
        info: the checkpoint's description.
        weights: the checkpoint's weights, which name the bundle.
        classifier: weights ``[classes, channels]`` of the last layer, where targets give features.
        data: name of the data set.
        temperature: as fitted.
        open_set: likewise.
        compression: how it was compressed, for the record.
    """

    info: CheckpointInfo
    weights: Mapping[str, Tensor]
    classifier: Tensor | None
    data: str
    temperature: float
    open_set: OpenSet | None
    compression: dict[str, Any]


def package(
    folder: Path, made: Mapping[str, Made], figures: Mapping[str, TargetFigures], about: Contents
) -> Manifest:
    """Fill an empty folder with a bundle and run its self-test.

    Raises:
        BundleError: a target fails its own self-test.
        BackendError: an engine cannot run a target.
    """
    preprocess = about.info.preprocess
    inputs = draw_golden_inputs(preprocess.input_size)
    golden = {name: _golden_logits(item, inputs, preprocess) for name, item in made.items()}
    targets = {}
    for name, item in made.items():
        for file in item.files:
            shutil.copyfile(file, folder / file.name)
        targets[name] = item.target.model_copy(
            update={
                "golden_tolerance": TARGETS[name].tolerance * float(np.ptp(golden[name])),
                "accuracy": figures[name].reported.accuracy,
            }
        )
    architecture = about.info.architecture + ("-mirrored" if about.compression["mirrored"] else "")
    manifest = Manifest(
        id=bundle_id(architecture, about.data, about.weights),
        created=datetime.now(UTC).replace(microsecond=0),
        labels=about.info.labels,
        preprocess=preprocess,
        targets=targets,
        temperature=about.temperature,
        unknown_threshold=UNKNOWN_THRESHOLD,
        open_set=about.open_set,
        golden=describe_file(write_golden(folder, inputs, golden)),
        classifier=(
            describe_file(write_classifier(folder, about.classifier.numpy()))
            if about.classifier is not None
            else None
        ),
        license=LICENSES.get(about.data, _OTHER_LICENSE),
        provenance={
            **without_folders(about.info.provenance.model_dump(mode="json")),
            "compression": without_folders(about.compression),
        },
    )
    card = folder / CARD
    card.write_text(
        write_card(manifest, about.info.architecture, about.data, figures), encoding="utf-8"
    )
    manifest = manifest.model_copy(update={"documents": (describe_file(card),)})
    write_manifest(folder, manifest)
    _test_itself(folder)
    return manifest


def bundle_id(architecture: str, data: str, weights: Mapping[str, Tensor]) -> str:
    """A name such as ``mobilenetv2_100-cub100-1a2b3c4d``; the same weights give the same one."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{architecture}-{data}")
    return f"{plain}-{digest.hexdigest()[:8]}"


def without_folders(value: Any) -> Any:
    """A record with absolute paths cut to their last part: the rest is one machine's own."""
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_folders(item) for item in value]
    return _FOLDERS.sub("", value) if isinstance(value, str) else value


def _golden_logits(
    made: Made, inputs: NDArray[np.uint8], preprocess: Preprocess
) -> NDArray[np.float32]:
    backend = load_backend(made.files, made.target, default_threads())
    try:
        return backend.infer(model_input(inputs, preprocess, made.target))
    finally:
        backend.close()


def _test_itself(folder: Path) -> None:
    bundle = ModelBundle.load(folder)
    for name in bundle.manifest.targets:
        result = self_test(bundle, name, threads=1)
        if not result.passed:
            raise BundleError(
                f"target {name} fails its self-test: a golden logit is off by "
                f"{result.largest_difference:.3g}, more than {result.tolerance:.3g}"
            )
