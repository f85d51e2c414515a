"""ONNX, for ONNX Runtime and whatever else reads it."""

from pathlib import Path

import torch
from torch import nn

from ...runtime.errors import BackendError
from ...runtime.extras import needs_extra
from ..features import WithFeatures
from ..quiet import quiet
from . import Exported


class OnnxExporter:
    """One ``.onnx`` file with its weights inside; the batch may be of any size."""

    def export(self, network: nn.Module, input_size: tuple[int, int], folder: Path) -> Exported:
        """Write ``model_fp32.onnx``; see `Exporter.export`."""
        with needs_extra("compress"):
            import onnx
            import onnxscript  # noqa: F401 - torch.onnx needs it, and would say so less clearly
        path = folder / "model_fp32.onnx"
        # A batch of two: torch.export takes a dimension of one for a constant.
        example = torch.zeros(2, 3, *input_size)
        try:
            with quiet():
                program = torch.onnx.export(
                    network,
                    (example,),
                    dynamo=True,
                    dynamic_shapes=({0: "batch"},),
                    input_names=["image"],
                    output_names=["logits", "features"]
                    if isinstance(network, WithFeatures)
                    else ["logits"],
                    verbose=False,
                )
                assert program is not None
                model = program.model_proto
        # The exporter raises the errors of half a dozen libraries.
        except Exception as error:
            raise BackendError(f"cannot export this network to ONNX: {error}") from error
        _forget_origin(model)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
        return Exported("onnx", (path,), "NCHW")


def _forget_origin(model: "onnx.ModelProto") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Take out the stack traces, with this machine's paths, that torch notes at every node."""
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("metadata_props")
    graph.ClearField("doc_string")
