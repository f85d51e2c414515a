"""A tiny real network that tells colours apart, so that tests need no photos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIZE = 32
RED, GREEN, BLUE = "#d01010", "#10d010", "#1010d0"
NAMES = (
    "Cardinalis cardinalis (Northern Cardinal)",
    "Selasphorus calliope (Calliope Hummingbird)",
    "Passerina cyanea (Indigo Bunting)",
)
SHARPNESS = 4.0


def write_network(
    path: Path,
    *,
    weights: NDArray[np.float32] | None = None,
    bias: Sequence[float] | None = None,
    batch: int | str = "batch",
    size: int | str = SIZE,
    softmax: bool = False,
    heavy: int = 0,
) -> Path:
    """A classifier whose logits are the mean red, green and blue of the picture, sharpened.

    A heavy one does so many hundred million multiplications more for the same answer.
    """
    weights = SHARPNESS * np.eye(3, dtype=np.float32) if weights is None else weights
    classes = weights.shape[1]
    constants = {
        "weights": weights.astype(np.float32),
        "bias": np.asarray(bias or [0.0] * classes, dtype=np.float32),
    }
    nodes = [
        helper.make_node("GlobalAveragePool", ["pictures"], ["means"]),
        helper.make_node("Flatten", ["means"], ["channels"]),
        helper.make_node("Gemm", ["channels", "weights", "bias"], ["values"]),
    ]
    result = "values"
    if heavy:
        rng = np.random.default_rng(0)
        constants["wide"] = rng.standard_normal((96, 3, 3, 3)).astype(np.float32)
        # So scaled, what many layers compute neither grows nor vanishes.
        deep = rng.standard_normal((96, 96, 3, 3)) / np.sqrt(96 * 3 * 3)
        constants["deep"] = deep.astype(np.float32)
        constants["nothing"] = np.zeros((96, classes), dtype=np.float32)
        pads = {"pads": [1, 1, 1, 1]}
        nodes += [
            helper.make_node("Conv", ["pictures", "wide"], ["layer0"], **pads),
            *(
                helper.make_node("Conv", [f"layer{n}", "deep"], [f"layer{n + 1}"], **pads)
                for n in range(heavy)
            ),
            helper.make_node("GlobalAveragePool", [f"layer{heavy}"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "nothing"], ["zeros"]),
            helper.make_node("Add", ["values", "zeros"], ["same"]),
        ]
        result = "same"
    if softmax:
        nodes.append(helper.make_node("Softmax", [result], ["probabilities"], axis=1))
        result = "probabilities"
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
