"""Engines tell their makers what runs where, unless they are told not to."""

import os
import sys


def switch_off() -> None:
    """Keep engines from reporting to their makers, and from leaving identities in the home folder.

    What birdedge looks at stays on the machine, and so does that it looks. Of no effect on engines
    that were imported before. Who wants ONNX Runtime to report sets ``ORT_DISABLE_TELEMETRY=0``.
    """
    # ONNX Runtime reports from 1.29 on, and reads this once (microsoft/onnxruntime#27379).
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # OpenVINO and NNCF report by way of this package, whose only switch is a file in the home
    # folder. Where it is not installed they have a stand-in; so for them it is not.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
