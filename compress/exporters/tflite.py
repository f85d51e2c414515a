"""TensorFlow Lite's flat buffer, for LiteRT, written without TensorFlow."""

from pathlib import Path

import torch
from torch import nn

from ...runtime.errors import BackendError
from ...runtime.extras import needs_extra
from ..features import WithFeatures
from ..quiet import quiet
from . import Exported


class TfliteExporter:
    """One ``.tflite`` file that takes a single picture, channels last."""

    def export(self, network: nn.Module, input_size: tuple[int, int], folder: Path) -> Exported:
        """Write ``model_fp32.tflite``; see `Exporter.export`."""
        with needs_extra("compress"), quiet():
            import litert_torch
        path = folder / "model_fp32.tflite"
        # TensorFlow Lite's kernels want channels last; XNNPACK transposes nothing then.
        example = torch.zeros(1, *input_size, 3)
        try:
            with quiet():
                maps = [1] if isinstance(network, WithFeatures) else None
                channels_last = litert_torch.to_channel_last_io(network, args=[0], outputs=maps)
                # Its own way to a file ends the process where the disk is full.
                content = litert_torch.convert(channels_last.eval(), (example,)).model_content()
        # The converter goes through torch.export, StableHLO and MLIR, each with its own errors.
        except Exception as error:
            raise BackendError(f"cannot export this network to TFLite: {error}") from error
        path.write_bytes(content)
        return Exported("tflite", (path,), "NHWC")
