"""birdedge names birds with small computers.

>>> import birdedge
>>> classifier = birdedge.load()
>>> classifier.classify(birdedge.read_image("bird.jpg")).name
'Blue Jay'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .runtime import telemetry

if TYPE_CHECKING:
    from .runtime.bundle import ModelBundle
    from .runtime.classifier import Classifier
    from .runtime.load import load_classifier as load
    from .runtime.predictions import Prediction
    from .runtime.preprocess import read_image

__version__ = "0.1.0"
__all__ = ["Classifier", "ModelBundle", "Prediction", "load", "read_image"]

_WHERE = {
    "Classifier": (".runtime.classifier", "Classifier"),
    "ModelBundle": (".runtime.bundle", "ModelBundle"),
    "Prediction": (".runtime.predictions", "Prediction"),
    "load": (".runtime.load", "load_classifier"),
    "read_image": (".runtime.preprocess", "read_image"),
}


telemetry.switch_off()


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `birdedge --help` needs none of them."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _WHERE[name]
    return getattr(import_module(module, __name__), attribute)
