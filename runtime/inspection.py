"""What a foreign model file takes, as far as birdedge can give it that."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .errors import BundleError
from .preprocess import MOST_PIXELS

# An entry of ONNX's TensorProto.external_data (field 13) with the key "location": the name of the
# file that a tensor's values lie in, its length before it; see onnx.proto.
_ELSEWHERE = re.compile(rb"\x6a[^\x00][\x01-\x7f]?\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)


@dataclass(frozen=True)
class Signature:
    """What a model file takes.

    Attributes:
        engine: the backend for it.
        layout: order of the input's axes.
        size: height and width, ``None`` where the model takes any.
        dtype: ``uint8`` for pixels as they are.
        quantised: whether the model computes in integers.
    """

    engine: str
    layout: Literal["NCHW", "NHWC"]
    size: tuple[int, int] | None
    dtype: Literal["float32", "uint8"]
    quantised: bool


def inspect_model(model: Path) -> Signature:
    """Read what a model file takes.

    Raises:
        BundleError: the kind of file is unknown, its weights lie in another file, or its input is
            not one RGB picture of a kind that birdedge gives.
        BackendError: the engine cannot load it.
        MissingExtraError: the engine is not installed.
    """
    if model.suffix.lower() == ".onnx":
        return _inspect_onnx(model)
    if model.suffix.lower() == ".tflite":
        return _inspect_tflite(model)
    raise BundleError(f"{model} is neither .onnx nor .tflite")


def _inspect_onnx(model: Path) -> Signature:
    from .backends.onnx import open_session

    graph = model.read_bytes()
    _check_whole(graph, model)
    session = open_session(model, threads=1)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise BundleError(f"{model} takes {len(inputs)} inputs instead of one picture")
    layout, size = _picture_axes(list(inputs[0].shape), model)
    dtypes: dict[str, Literal["float32", "uint8"]] = {
        "tensor(float)": "float32",
        "tensor(uint8)": "uint8",
    }
    if inputs[0].type not in dtypes:
        taken = inputs[0].type.removeprefix("tensor(").removesuffix(")")
        raise BundleError(
            f"{model} takes {taken}; birdedge gives float (32 bits) or uint8: export it with one "
            "of these for its input"
        )
    # Integer graphs hold QuantizeLinear (QDQ form) or QLinearConv (operator form) nodes.
    quantised = b"QuantizeLinear" in graph or b"QLinearConv" in graph
    return Signature("onnx", layout, size, dtypes[inputs[0].type], quantised)


def _inspect_tflite(model: Path) -> Signature:
    from .backends.tflite import open_interpreter

    detail = open_interpreter(model, threads=1).get_input_details()[0]
    layout, size = _picture_axes([int(n) for n in detail["shape"]], model)
    dtype: Literal["float32", "uint8"] = "uint8" if detail["dtype"] is np.uint8 else "float32"
    return Signature("tflite", layout, size, dtype, quantised=detail["dtype"] is not np.float32)


def _check_whole(graph: bytes, model: Path) -> None:
    """See that an ONNX file holds its own weights; `torch.onnx.export` puts them beside it."""
    found = _ELSEWHERE.search(graph)
    if found is None:
        return
    name = graph[found.end() : found.end() + found[1][0]].decode(errors="replace")
    raise BundleError(
        f"{model} has its weights in another file, {name}; make one of both: "
        f"onnx.save(onnx.load({model.name!r}), 'whole.onnx'), or "
        "torch.onnx.export(..., external_data=False)"
    )


def _picture_axes(
    shape: list[Any], model: Path
) -> tuple[Literal["NCHW", "NHWC"], tuple[int, int] | None]:
    """Order of the axes, and height and width if fixed; a free axis has a name instead."""
    if len(shape) == 4 and shape[1] == 3:
        layout: Literal["NCHW", "NHWC"] = "NCHW"
        height, width = shape[2:]
    elif len(shape) == 4 and shape[3] == 3:
        layout = "NHWC"
        height, width = shape[1:3]
    else:
        raise BundleError(f"{model} takes {shape} instead of one RGB picture")
    batch = shape[0]
    if isinstance(batch, int) and batch != 1:
        raise BundleError(
            f"{model} takes {batch} pictures at a time; export it for one, or for any number"
        )
    if isinstance(height, int) != isinstance(width, int):
        free, fixed = ("width", height) if isinstance(height, int) else ("height", width)
        raise BundleError(
            f"{model} takes any {free}, but not any size: the other side is {fixed} pixels; export "
            "it with both fixed, or both free"
        )
    if not isinstance(height, int):
        return layout, None
    check_size((height, width), model)
    return layout, (height, width)


def check_size(size: tuple[int, int], model: Path) -> None:
    """See that pictures can be brought to a size.

    Raises:
        BundleError: it is nothing, or too large.
    """
    if not all(1 <= side <= MOST_PIXELS for side in size):
        height, width = size
        raise BundleError(
            f"{model} cannot take {height}x{width} pixels here; 1 to {MOST_PIXELS} a side are "
            "possible"
        )
