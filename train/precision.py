"""What number format the machine at hand trains fastest in."""

from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]
"""Lightning's names, but for those whose weights are of 16 bits themselves.

Their steps, and the average of the weights, are too small for such numbers to change by.
"""

_BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""As cpuinfo names them on x86 and on Arm."""


def native_precision(accelerator: str) -> Precision:
    """Choose ``bf16-mixed`` where the hardware computes in bfloat16, ``32-true`` elsewhere.

    Elsewhere it would be emulated: a ResNet50 then learns fourteen times slower than in float32
    on a processor that has AVX2 alone.

    Args:
        accelerator: Lightning's ``auto``, ``cpu``, ``gpu``, ...
    """
    return "bf16-mixed" if _computes_bfloat16(accelerator) else "32-true"


def _computes_bfloat16(accelerator: str) -> bool:
    device = None if accelerator == "cpu" else torch.accelerator.current_accelerator(True)
    if device is None:
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in _BFLOAT16_INSTRUCTIONS)
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
