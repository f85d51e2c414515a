"""How many multiply-adds one picture takes, by a bundle's own file."""

import logging
import math
import re
from pathlib import Path
from typing import Any

from ..runtime.bundle import ModelBundle

_log = logging.getLogger(__name__)

_MULTIPLE = re.compile(r"(?:(?P<times>\d+)\*)?(?P<name>.+)")
"""How exporters write sides that grow with the batch: ``batch``, ``2*batch``."""


def macs_of(bundle: ModelBundle) -> int | None:
    """Multiply-adds of one picture: of convolutions and matrix products, as is usual.

    A bundle that `birdedge compress` pruned says it; of others the ONNX file is counted. None where
    there is neither.
    """
    told = bundle.manifest.provenance.get("compression", {}).get("macs")
    if told is not None:
        return int(told)
    for name, target in bundle.manifest.targets.items():
        if target.engine == "onnx":
            return count_onnx(bundle.target_files(name)[0])
    return None


def count_onnx(file: Path) -> int | None:
    """Multiply-adds of an ONNX file at a batch of one; none if its shapes cannot be told."""
    try:
        return _count(file)
    # Other people's files are of many kinds, and this is the least of a report's figures.
    except Exception as error:
        _log.debug("multiply-adds of %s are unknown: %s", file, error)
        return None


def _count(file: Path) -> int | None:
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(file)).graph
    constant = {tensor.name for tensor in graph.initializer}
    pictures = next(value for value in graph.input if value.name not in constant)
    batch = pictures.type.tensor_type.shape.dim[0].dim_param
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.output):
        sides = [_side(side, batch) for side in value.type.tensor_type.shape.dim]
        if None not in sides:
            shapes[value.name] = tuple(side for side in sides if side is not None)
    total = 0
    for node in graph.node:
        # A quantized layer takes its weights one place farther on.
        at = 3 if node.op_type.startswith("QLinear") else 1
        kind = node.op_type.removeprefix("QLinear").removesuffix("Integer")
        if kind not in ("Conv", "Gemm", "MatMul"):
            continue
        given, weights = shapes.get(node.output[0]), shapes.get(node.input[at])
        if given is None or weights is None:
            return None
        if kind == "Conv":
            # Output channels first; what is left is used once at each position of the output.
            total += math.prod(given) * math.prod(weights[1:])
        else:
            transposed = any(one.name == "transB" and one.i for one in node.attribute)
            total += math.prod(given) * weights[-1 if transposed else -2]
    return total


def _side(side: Any, batch: str) -> int | None:
    """A side's length where the batch is one: a number, the batch's name, or a multiple of it."""
    if side.HasField("dim_value"):
        return int(side.dim_value)
    multiple = _MULTIPLE.fullmatch(side.dim_param)
    return int(multiple["times"] or 1) if multiple and multiple["name"] == batch else None
