"""OpenVINO without AMX, the matrix unit of some servers' processors."""

import os


def without_amx() -> None:
    """Have OpenVINO leave AMX alone; to be called before the process uses it first.

    With AMX, OpenVINO 2026.4 dies of a segmentation fault as it runs some small INT8 networks. Its
    library, oneDNN, reads the setting once. Whoever has set it keeps what he wanted. No board that
    birdedge is made for has AMX, and VNNI remains.
    https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
    """
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_FP16")
