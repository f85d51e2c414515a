"""What a machine can do at all: matrix products of the engines' own libraries.

A network's layers are such products; how near a target comes to the machine's limit says whether
another engine could still be faster, or only a smaller network.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..runtime.backends.amx import without_amx

_SIZE = 1024
_SECONDS = 0.5
_BEST_OF = 5


def measure_peaks(threads: int) -> dict[tuple[str, str], float]:
    """Billions of multiply-adds in a second, by engine and kind, of each engine that is installed.

    ``[1024, 1024] x [1024, 1024]``: in float32, and of 8-bit by 8-bit integers summed in 32 bits.

    Args:
        threads: that the library may use.
    """
    peaks = {}
    for engine, products in (("onnx", _onnx_products), ("openvino", _openvino_products)):
        try:
            for kind, run in products(threads).items():
                peaks[engine, kind] = _gmacs(run)
        except ImportError:
            continue
    return peaks


def _gmacs(run: Callable[[], object]) -> float:
    run()
    best = 0.0
    for _ in range(_BEST_OF):
        times: list[float] = []
        end = time.perf_counter() + _SECONDS / _BEST_OF
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        best = max(best, _SIZE**3 / statistics.median(times) / 1e9)
    return best


def _onnx_products(threads: int) -> dict[str, Callable[[], object]]:
    """``MatMul`` and ``MatMulInteger`` of ONNX Runtime (its library is MLAS)."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)

    def product(kind: str, left: Any, right: Any, taken: int, given: int) -> Callable[[], object]:
        # A constant is packed once, as a network's weights are.
        weights = numpy_helper.from_array(right, "right")
        graph = helper.make_graph(
            [helper.make_node(kind, ["left", "right"], ["product"])],
            "product",
            [helper.make_tensor_value_info("left", taken, left.shape)],
            [helper.make_tensor_value_info("product", given, [_SIZE, _SIZE])],
            [weights],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return lambda: session.run(None, {"left": left})

    floats = rng.standard_normal((2, _SIZE, _SIZE)).astype(np.float32)
    return {
        "fp32": product("MatMul", floats[0], floats[1], TensorProto.FLOAT, TensorProto.FLOAT),
        "int8": product(
            "MatMulInteger",
            rng.integers(0, 128, (_SIZE, _SIZE)).astype(np.uint8),
            rng.integers(-64, 64, (_SIZE, _SIZE)).astype(np.int8),
            TensorProto.UINT8,
            TensorProto.INT32,
        ),
    }


def _openvino_products(threads: int) -> dict[str, Callable[[], object]]:
    """``MatMul`` of OpenVINO, in float and between quantized values (its library is oneDNN).

    It has no integer product of its own: as in a network's INT8 layers, the left matrix is
    quantized each time, and the right one is a constant with a scale.
    """
    without_amx()
    import openvino
    from openvino import opset13 as ops

    rng = np.random.default_rng(0)
    floats = rng.standard_normal((2, _SIZE, _SIZE)).astype(np.float32)
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}

    def product(quantized: bool) -> Callable[[], object]:
        left = ops.parameter([_SIZE, _SIZE], np.float32)
        values, weights = left, ops.constant(floats[1])
        if quantized:
            low, high = np.float32(-4), np.float32(4)
            values = ops.fake_quantize(left, low, high, low, high, 256)
            integers = ops.constant(rng.integers(-64, 64, (_SIZE, _SIZE)).astype(np.int8))
            scales = ops.constant(np.full((_SIZE, 1), 0.01, np.float32))
            weights = ops.multiply(ops.convert(integers, np.float32), scales)
        result = ops.matmul(values, weights, False, True)
        model = openvino.Model([result], [left], "product")
        request = openvino.Core().compile_model(model, "CPU", hints).create_infer_request()
        return lambda: request.infer({0: floats[0]})

    return {"fp32": product(quantized=False), "int8": product(quantized=True)}


def main() -> None:
    """Print what so many threads reach, in a process that has done nothing else."""
    for (engine, kind), gmacs in measure_peaks(int(sys.argv[1])).items():
        print(engine, kind, gmacs)


if __name__ == "__main__":
    main()
