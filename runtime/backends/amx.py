"""OpenVINO without AMX, the matrix unit of some servers' processors."""

import os

WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_FP16"}
"""The setting, as a process is started with it."""


def without_amx() -> None:
    """Have OpenVINO leave AMX alone; to be called before the process uses it first.

    With AMX, OpenVINO 2026.4 dies of a segmentation fault as it runs some small INT8 networks. Its
    library, oneDNN, reads the setting once. Whoever has set it keeps what he wanted. No board that
    birdedge is made for has AMX, and VNNI remains.
    https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
    """
    for name, value in WITHOUT_AMX.items():
        os.environ.setdefault(name, value)
