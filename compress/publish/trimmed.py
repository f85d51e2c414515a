"""A bundle with some of its targets alone: what no device of a channel runs need not travel."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ...runtime.bundle import ModelBundle, new_bundle, write_manifest
from .storage import PublishError


def trim(bundle: ModelBundle, targets: Sequence[str], folder: Path) -> ModelBundle:
    """Make a bundle of some of another one's targets.

    Args:
        bundle: that has all of them.
        targets: to keep, by name.
        folder: of the new bundle.

    Raises:
        PublishError: the bundle lacks one of the targets.
        BundleError: the folder is taken or cannot be written to.
    """
    missing = [target for target in targets if target not in bundle.manifest.targets]
    if missing:
        known = ", ".join(bundle.manifest.targets)
        raise PublishError(f"{bundle.manifest.id} has no {missing[0]}; it has {known}")
    kept = {target: bundle.manifest.targets[target] for target in targets}
    manifest = bundle.manifest.model_copy(update={"targets": kept})
    with new_bundle(folder) as draft:
        for entry in manifest.files():
            try:
                os.link(bundle.folder / entry.name, draft / entry.name)
            except OSError:
                shutil.copyfile(bundle.folder / entry.name, draft / entry.name)
        write_manifest(draft, manifest)
    return ModelBundle.load(folder)
