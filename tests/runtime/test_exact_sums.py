"""INT8 sums are exact on every processor; who has them anyway does not pay for it."""

from typing import Any

import pytest

from birdedge.runtime.backends import onnx
from birdedge.runtime.bundle import ModelBundle

Options = Any


@pytest.mark.parametrize(
    ("features", "exact"),
    [
        ({"avx2", "fma"}, True),
        ({"avx2", "avx_vnni"}, False),
        ({"avx512bw", "avx512_vnni", "amx_int8"}, False),
        # As some hypervisors show one.
        ({"avx2", "avx_vnni", "avx512bw"}, True),
        # One that says nothing of itself may be an old one.
        (set(), True),
    ],
)
def test_slower_sums_are_asked_for_where_the_usual_ones_saturate(
    features: set[str], exact: bool, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "processor_features", lambda: features)
    (target,) = bundle.manifest.targets
    session = onnx.open_session(bundle.target_files(target)[0], threads=1)

    assert asked_for(session.get_session_options()) is exact


def asked_for(options: Options) -> bool:
    try:
        return bool(options.get_session_config_entry(onnx.EXACT_SUMS) == "1")
    except RuntimeError:
        return False
