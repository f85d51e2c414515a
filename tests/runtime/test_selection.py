"""`--target auto`: the fastest target is found, remembered, and found again when things change."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from birdedge.runtime import selection
from birdedge.runtime.bundle import ModelBundle, describe_file, new_bundle, write_manifest
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.errors import BackendError
from birdedge.runtime.selection import choose_target, measure_targets


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "birdedge" / "targets.json"


@pytest.fixture
def two_speeds(make_bundle: Callable[..., ModelBundle], tmp_path: Path) -> ModelBundle:
    """A bundle whose first target does a hundred million multiplications more than its second."""
    light, heavy = make_bundle(), make_bundle(heavy=1)
    spec = light.manifest.targets["onnx-fp32"]
    with new_bundle(tmp_path / "two") as draft:
        shutil.copy(light.folder / "golden.npz", draft)
        targets = {}
        for name, source in (("slow", heavy), ("quick", light)):
            model = shutil.copy(source.folder / "model.onnx", draft / f"{name}.onnx")
            targets[name] = spec.model_copy(update={"files": (describe_file(Path(model)),)})
        write_manifest(draft, light.manifest.model_copy(update={"targets": targets}))
    return ModelBundle.load(tmp_path / "two")


def with_targets(bundle: ModelBundle, **engines: str) -> ModelBundle:
    """The bundle with other engines named in its manifest; in memory only."""
    targets = {
        name: spec.model_copy(update={"engine": engines.get(name, spec.engine)})
        for name, spec in bundle.manifest.targets.items()
    }
    return ModelBundle(bundle.folder, bundle.manifest.model_copy(update={"targets": targets}))


def test_the_one_target_needs_no_measuring(
    bundle: ModelBundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "measure_targets", lambda *_: pytest.fail("measured"))

    assert Classifier(bundle, target="auto", threads=1).target == "onnx-fp32"
    assert not cache.exists()


def test_the_faster_one_is_chosen(two_speeds: ModelBundle) -> None:
    assert choose_target(two_speeds, threads=1) == "quick"


def test_the_choice_is_remembered_per_bundle_and_threads(
    two_speeds: ModelBundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_target(two_speeds, threads=1)
    assert list(json.loads(cache.read_text()).values()) == ["quick"]

    measured: list[int] = []
    monkeypatch.setattr(
        selection, "measure_targets", lambda _, threads: measured.append(threads) or {"slow": 1.0}
    )
    assert choose_target(two_speeds, threads=1) == "quick"
    assert choose_target(two_speeds, threads=2) == "slow"
    assert measured == [2]


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"other": "quick"}'])
def test_a_damaged_memory_is_measured_anew(
    two_speeds: ModelBundle, cache: Path, content: str
) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text(content)

    assert choose_target(two_speeds, threads=1) == "quick"
    assert "quick" in json.loads(cache.read_text()).values()


def test_a_memory_that_cannot_be_written_does_no_harm(two_speeds: ModelBundle, cache: Path) -> None:
    cache.parent.parent.write_text("a file where the folder should be")

    assert choose_target(two_speeds, threads=1) == "quick"


def test_an_engine_that_is_not_installed_is_passed_over(two_speeds: ModelBundle) -> None:
    assert set(measure_targets(with_targets(two_speeds, quick="hailo"), threads=1)) == {"slow"}


def test_no_engine_at_all_is_told_with_each_reason(two_speeds: ModelBundle) -> None:
    bundle = with_targets(two_speeds, quick="hailo", slow="rknn")

    with pytest.raises(BackendError, match=r"(?s)slow: .*rknn.*quick: .*hailo"):
        measure_targets(bundle, threads=1)
