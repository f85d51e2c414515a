"""Training computes in bfloat16 only where the hardware does."""

import pytest
import torch

from birdedge.train.precision import native_precision
from birdedge.train.settings import Loop


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({"avx2": True, "avx512_f": False, "avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ({"neon": True, "bf16": False}, "32-true"),
        ({"neon": True, "bf16": True}, "bf16-mixed"),
    ],
    ids=["AVX2", "AVX-512", "AVX-512 with bfloat16", "Cortex-A76", "Neoverse-V1"],
)
def test_a_processor_computes_in_what_it_has_instructions_for(
    capabilities: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert native_precision("cpu") == precision


@pytest.mark.parametrize(("supported", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_says_itself_whether_it_has_bfloat16(
    supported: bool, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert native_precision("auto") == precision


def test_a_precision_that_was_asked_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    loop = Loop(epochs=1, accelerator="cpu", precision="bf16-mixed")
    assert loop.resolved_precision == "bf16-mixed"
    assert Loop(epochs=1, accelerator="cpu").resolved_precision == "32-true"
