"""The targets that `birdedge compress` can make, by name."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """How one target is made.

    Attributes:
        exporter: name of an exporter, an entry point of ``birdedge.exporters``.
        quantized: whether its result is quantized to 8-bit integers, by the engine's quantizer.
        tolerance: largest difference of a golden logit on another machine, as a share of the
            golden logits' range. Float engines differ in the order of their sums; integer kernels
            also round differently from one processor family to the next, by up to 1.8 % in ONNX
            Runtime (3.9 % in LiteRT, 4.5 % in OpenVINO). Dot products that saturate, which cost
            MobileNetV2 2.7 points of accuracy, differ by 6.5 % and more.
        agreement: share of the photos, at least, to which a float target gives the network's own
            first answer; INT8 is given less, see `Tolerance`.
        in_all: whether ``--targets all`` makes it; else it is made only when it is named.
    """

    exporter: str
    quantized: bool = False
    tolerance: float = 1e-2
    agreement: float = 0.998
    in_all: bool = True


TARGETS = {
    "onnx-fp32": Recipe("onnx"),
    "onnx-int8": Recipe("onnx", quantized=True, tolerance=0.04),
    "openvino-fp16": Recipe("openvino"),
    "openvino-int8": Recipe("openvino", quantized=True, tolerance=0.1),
    "tflite-fp32": Recipe("tflite"),
    "tflite-int8": Recipe("tflite", quantized=True, tolerance=0.1),
    "ncnn-fp32": Recipe("ncnn", in_all=False),
    "ncnn-fp16": Recipe("ncnn-fp16", in_all=False),
}


def float_target(name: str) -> str:
    """The target that one is quantized from; itself, if it is not quantized."""
    (start,) = _of_exporter(name, quantized=False)
    return start


def int8_target(name: str) -> str | None:
    """The target that a float one is quantized to; None if there is none, or it is one already."""
    if TARGETS[name].quantized:
        return None
    return next(iter(_of_exporter(name, quantized=True)), None)


def _of_exporter(name: str, quantized: bool) -> list[str]:
    exporter = TARGETS[name].exporter
    return [
        other
        for other, recipe in TARGETS.items()
        if recipe.exporter == exporter and recipe.quantized == quantized
    ]


@dataclass(frozen=True)
class Calibration:
    """How the ranges of INT8 activations are found.

    Attributes:
        photos: how many training photos are looked at.
        method: one of `CALIBRATION_METHODS`.
    """

    photos: int = 256
    method: str = "minmax"


DEFAULT_TARGETS = ("onnx-fp32", "onnx-int8")

CALIBRATION_METHODS = ("minmax", "entropy", "percentile")

Importance = Literal["magnitude", "taylor", "lamp"]
Scope = Literal["local", "global"]
WandbMode = Literal["disabled", "offline", "online"]
