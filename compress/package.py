"""From verified targets to a bundle: manifest, golden logits, model card."""

import hashlib
import re
import shutil
from collections.abc import Mapping
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
from ..runtime.manifest import Manifest
from ..runtime.preprocess import Preprocess
from .accept import Accepted
from .card import CARD, write_card
from .confidence import UNKNOWN_THRESHOLD
from .features import classifier_weights
from .make import Made
from .model import Model
from .targets import TARGETS

_CUB = "CUB-200-2011 allows research and non-commercial use; so do these weights."

LICENSES = {"cub100": _CUB, "cub200": _CUB}
"""What may be done with weights trained on a data set, by its name in the configuration."""

# Not after a colon, a letter or a dot: addresses and relative paths stay whole.
_FOLDERS = re.compile(r"(?<![\w.:/~-])/(?:[^/\s'\"]+/)+")

_OTHER_LICENSE = "These weights may be used as the photos they were trained on allow."


def package(folder: Path, model: Model, accepted: Accepted, record: Mapping[str, Any]) -> Manifest:
    """Fill an empty folder with a bundle and run its self-test.

    Args:
        folder: an existing one.
        model: the network, whose weights name the bundle.
        accepted: its targets.
        record: how it was compressed; see `compression_record`.

    Raises:
        BundleError: a target fails its own self-test.
        BackendError: an engine cannot run a target.
    """
    info, preprocess = model.info, model.info.preprocess
    inputs = draw_golden_inputs(preprocess.input_size)
    golden = {
        name: _golden_logits(item, inputs, preprocess) for name, item in accepted.made.items()
    }
    targets = {}
    for name, item in accepted.made.items():
        for file in item.files:
            shutil.copyfile(file, folder / file.name)
        targets[name] = item.target.model_copy(
            update={
                "golden_tolerance": TARGETS[name].tolerance * float(np.ptp(golden[name])),
                "accuracy": accepted.figures[name].reported.accuracy,
            }
        )
    data = model.photos.name
    architecture = info.architecture + ("-mirrored" if model.mirrored else "")
    classifier = None
    if any(target.features for target in targets.values()):
        classifier = write_classifier(folder, classifier_weights(model.network).numpy())
    manifest = Manifest(
        id=bundle_id(architecture, data, model.weights),
        created=datetime.now(UTC).replace(microsecond=0),
        labels=info.labels,
        preprocess=preprocess,
        targets=targets,
        temperature=accepted.temperature,
        unknown_threshold=UNKNOWN_THRESHOLD,
        open_set=accepted.open_set,
        golden=describe_file(write_golden(folder, inputs, golden)),
        classifier=None if classifier is None else describe_file(classifier),
        license=LICENSES.get(data, _OTHER_LICENSE),
        provenance={
            **without_folders(info.provenance.model_dump(mode="json")),
            "compression": without_folders(record),
        },
    )
    card = folder / CARD
    figures = {name: accepted.figures[name] for name in accepted.made}
    card.write_text(write_card(manifest, info.architecture, data, figures), encoding="utf-8")
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
