"""OpenVINO's intermediate representation."""

from pathlib import Path

import torch
from torch import nn

from ...runtime.backends.amx import without_amx
from ...runtime.errors import BackendError
from ...runtime.extras import needs_extra
from ..quiet import quiet
from . import Exported


class OpenVinoExporter:
    """An ``.xml`` graph and a ``.bin`` of float16 weights; the batch may be of any size."""

    def export(self, network: nn.Module, input_size: tuple[int, int], folder: Path) -> Exported:
        """Write ``model_fp16.xml`` and ``model_fp16.bin``; see `Exporter.export`."""
        without_amx()
        with needs_extra("openvino"):
            import openvino
        path = folder / "model_fp16.xml"
        example = torch.zeros(2, 3, *input_size)
        try:
            with quiet():
                model = openvino.convert_model(
                    network, example_input=example, input=[-1, 3, *input_size]
                )
                openvino.save_model(model, str(path), compress_to_fp16=True)
        # OpenVINO has its own errors, and lets TorchScript's through.
        except Exception as error:
            raise BackendError(f"cannot export this network to OpenVINO: {error}") from error
        return Exported("openvino", (path, path.with_suffix(".bin")), "NCHW")
