"""What makes targets and runs them here: others may make others."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .. import __version__
from ..runtime.machine import model_name
from ..train.provenance import git_commit

_PACKAGES = (
    "ai-edge-litert",
    "ai-edge-quantizer",
    "litert-torch",
    "ncnn",
    "nncf",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "pnnx",
    "timm",
    "torch",
)
"""What converts, quantizes and runs networks."""


def made_with() -> dict[str, Any]:
    """birdedge, its converters and engines, and the machine, on which they round in their own way
    and take their own time; as JSON.
    """
    packages = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):  # as an engine that no target is for
            packages[name] = version(name)
    return {
        "birdedge": __version__,
        "git_commit": git_commit(),
        "packages": packages,
        "machine": model_name(),
    }
