"""The self-test passes on the machine that wrote it, and notices when a model changes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from birdedge.runtime.bundle import ModelBundle, describe_file, new_bundle, write_manifest
from birdedge.runtime.errors import BundleError
from birdedge.runtime.golden import draw_golden_inputs, self_test, write_golden


@pytest.fixture
def with_golden(
    bundle: ModelBundle, tmp_path: Path
) -> Callable[[Callable[[np.ndarray], np.ndarray]], ModelBundle]:
    """The bundle with golden logits made of its own by a function; its files are consistent."""

    def make(change: Callable[[np.ndarray], np.ndarray]) -> ModelBundle:
        with np.load(bundle.folder / "golden.npz") as arrays:
            inputs, logits = arrays["inputs"], arrays["logits/onnx-fp32"]
        with new_bundle(tmp_path / "changed") as draft:
            (draft / "model.onnx").write_bytes((bundle.folder / "model.onnx").read_bytes())
            golden = write_golden(draft, inputs, {"onnx-fp32": change(logits)})
            entry = describe_file(golden)
            write_manifest(draft, bundle.manifest.model_copy(update={"golden": entry}))
        return ModelBundle.load(tmp_path / "changed")

    return make


def test_an_untouched_model_passes(bundle: ModelBundle) -> None:
    test = self_test(bundle, "onnx-fp32", threads=1)

    assert test.passed
    assert test.largest_difference < 1e-5


def test_other_logits_fail_and_the_difference_is_told(
    with_golden: Callable[..., ModelBundle],
) -> None:
    test = self_test(with_golden(lambda logits: logits + 0.5), "onnx-fp32", threads=1)

    assert not test.passed
    assert test.largest_difference == pytest.approx(0.5, abs=1e-4)


def test_nan_never_passes(with_golden: Callable[..., ModelBundle]) -> None:
    assert not self_test(with_golden(lambda logits: logits * np.nan), "onnx-fp32", threads=1).passed


def test_golden_logits_of_another_shape_are_refused(
    with_golden: Callable[..., ModelBundle],
) -> None:
    with pytest.raises(BundleError, match=r"its golden logits are \(2,\)"):
        self_test(with_golden(lambda logits: logits[:, :2]), "onnx-fp32", threads=1)


def test_golden_inputs_of_another_number_are_refused(
    with_golden: Callable[..., ModelBundle],
) -> None:
    with pytest.raises(BundleError, match=r"holds golden inputs uint8 \[4, 32, 32, 3\]"):
        self_test(with_golden(lambda logits: logits[:2]), "onnx-fp32", threads=1)


def test_golden_logits_of_another_target_are_missed(
    with_golden: Callable[..., ModelBundle], bundle: ModelBundle
) -> None:
    changed = with_golden(lambda logits: logits)
    write_golden(changed.folder, draw_golden_inputs((32, 32)), {})

    with pytest.raises(BundleError, match="holds no golden logits for onnx-fp32"):
        self_test(changed, "onnx-fp32", threads=1)


def test_a_damaged_golden_file_is_refused(with_golden: Callable[..., ModelBundle]) -> None:
    changed = with_golden(lambda logits: logits)
    content = (changed.folder / "golden.npz").read_bytes()
    (changed.folder / "golden.npz").write_bytes(content[: len(content) // 2])

    with pytest.raises(BundleError, match="holds no golden logits"):
        self_test(changed, "onnx-fp32", threads=1)


def test_golden_inputs_are_four_different_coloured_pictures() -> None:
    inputs = draw_golden_inputs((48, 64))

    assert inputs.shape == (4, 48, 64, 3)
    assert inputs.dtype == np.uint8
    assert len({picture.tobytes() for picture in inputs}) == 4
    assert (inputs[..., 0] != inputs[..., 2]).any(axis=(1, 2)).all()
