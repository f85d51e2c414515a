"""One contract for all engines: the same network gives the same logits, whatever runs it."""

import importlib
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import tiny_network
from torch import nn

from birdedge.compress.exporters import load_exporter
from birdedge.compress.features import WithFeatures
from birdedge.runtime.backends import Backend, load_backend
from birdedge.runtime.errors import BackendError, MissingExtraError
from birdedge.runtime.golden import draw_golden_inputs
from birdedge.runtime.manifest import FileEntry, Target
from birdedge.runtime.preprocess import Preprocess

ENGINES = ["onnx", "openvino", "tflite", "ncnn"]
SIZE = (64, 96)  # not square: swapped axes would show
CLASSES = 5


@dataclass(frozen=True)
class Case:
    files: tuple[Path, ...]
    target: Target


@pytest.fixture(scope="module")
def network() -> nn.Module:
    network = tiny_network(CLASSES)
    # Untrained logits barely differ from one picture to the next; larger ones show more.
    nn.init.normal_(network.classifier.weight, std=0.5)
    return network


@pytest.fixture(scope="module")
def batch() -> NDArray[np.float32]:
    return Preprocess(input_size=SIZE).normalise(draw_golden_inputs(SIZE))


@pytest.fixture(scope="module")
def expected(network: nn.Module, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return network(torch.from_numpy(batch).permute(0, 3, 1, 2)).numpy()


@pytest.fixture(scope="module", params=ENGINES)
def case(
    request: pytest.FixtureRequest, network: nn.Module, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    exported = load_exporter(request.param).export(
        network, SIZE, tmp_path_factory.mktemp(request.param)
    )
    entries = tuple(FileEntry(name=f.name, sha256="0" * 64, bytes=0) for f in exported.files)
    target = Target(
        engine=exported.engine, files=entries, layout=exported.layout, golden_tolerance=1
    )
    return Case(exported.files, target)


@pytest.fixture
def backend(case: Case) -> Iterator[Backend]:
    backend = load_backend(case.files, case.target, threads=1)
    yield backend
    backend.close()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("pictures", [1, 3])
def test_logits_are_those_of_pytorch(
    case: Case,
    batch: NDArray[np.float32],
    expected: NDArray[np.float32],
    pictures: int,
    threads: int,
) -> None:
    backend = load_backend(case.files, case.target, threads)
    logits = backend.infer(batch[:pictures])
    backend.close()
    assert logits.dtype == np.float32
    assert logits.shape == (pictures, CLASSES)
    assert np.abs(logits - expected[:pictures]).max() < 1e-2 * np.ptp(expected)


def test_batch_may_change_from_one_call_to_the_next(
    backend: Backend, batch: NDArray[np.float32]
) -> None:
    together = backend.infer(batch)
    alone = np.concatenate([backend.infer(batch[i : i + 1]) for i in range(len(batch))])
    assert np.abs(alone - together).max() < 1e-2 * np.ptp(together)


def test_earlier_logits_are_not_overwritten_by_later_ones(
    backend: Backend, batch: NDArray[np.float32]
) -> None:
    first = backend.infer(batch[:1])
    kept = first.copy()
    backend.infer(batch[1:2])
    assert (first == kept).all()


def test_picture_of_another_size_is_refused(backend: Backend) -> None:
    with pytest.raises(BackendError, match="32"):
        backend.infer(np.zeros((1, 32, 32, 3), dtype=np.float32))


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "missing"])
def test_damaged_file_is_refused(case: Case, tmp_path: Path, damage: str) -> None:
    copies = tuple(tmp_path / file.name for file in case.files)
    for file, copy in zip(case.files, copies, strict=True):
        content = file.read_bytes()
        if damage == "truncated":
            copy.write_bytes(content[: len(content) // 2])
        elif damage == "empty":
            copy.write_bytes(b"")
        elif damage == "garbage":
            copy.write_bytes(b"not a model" * 1000)
    with pytest.raises(BackendError, match="cannot load"):
        load_backend(copies, case.target, threads=1)


def test_closed_backend_leaves_others_at_work(case: Case, batch: NDArray[np.float32]) -> None:
    closed = load_backend(case.files, case.target, threads=1)
    other = load_backend(case.files, case.target, threads=1)
    closed.close()
    assert other.infer(batch[:1]).shape == (1, CLASSES)
    other.close()


def test_signals_arrive_after_backends_have_come_and_gone(case: Case) -> None:
    # In a process of its own: at worst, the signal kills it.
    code = """
        import os, signal, sys
        from pathlib import Path
        from birdedge.runtime.backends import load_backend
        from birdedge.runtime.manifest import Target

        target = Target.model_validate_json(sys.argv[1])
        files = tuple(Path(name) for name in sys.argv[2:])
        first, second = (load_backend(files, target, threads=1) for _ in range(2))
        first.close()
        del first
        second.close()
        del second
        signal.signal(signal.SIGUSR1, lambda *_: print("arrived"))
        os.kill(os.getpid(), signal.SIGUSR1)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code), case.target.model_dump_json(), *case.files],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "arrived\n"), done.stderr


@pytest.fixture(scope="module", params=ENGINES)
def case_with_features(
    request: pytest.FixtureRequest, network: nn.Module, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    exported = load_exporter(request.param).export(
        WithFeatures(network).eval(), SIZE, tmp_path_factory.mktemp(request.param)
    )
    entries = tuple(FileEntry(name=f.name, sha256="0" * 64, bytes=0) for f in exported.files)
    target = Target(
        engine=exported.engine,
        files=entries,
        layout=exported.layout,
        features=True,
        golden_tolerance=1,
    )
    return Case(exported.files, target)


def test_features_are_those_of_pytorch_whatever_the_layout(
    case_with_features: Case, network: nn.Module, batch: NDArray[np.float32]
) -> None:
    backend = load_backend(case_with_features.files, case_with_features.target, threads=1)
    logits, features = backend.infer_with_features(batch)
    alone = backend.infer(batch)
    backend.close()

    with torch.inference_mode():
        wanted = network.forward_features(torch.from_numpy(batch).permute(0, 3, 1, 2))
    assert features.dtype == np.float32
    assert features.shape == (4, 2, 3, 1280)
    # OpenVINO's weights are float16, and an untrained network multiplies what that rounds.
    atol = 0.2 if case_with_features.target.engine == "openvino" else 1e-3
    np.testing.assert_allclose(features, wanted.permute(0, 2, 3, 1), rtol=1e-3, atol=atol)
    np.testing.assert_array_equal(logits, alone)


def test_a_model_without_features_says_so(backend: Backend, batch: NDArray[np.float32]) -> None:
    with pytest.raises(BackendError, match="does not give its feature map"):
        backend.infer_with_features(batch)


def test_too_many_threads_are_refused_before_an_engine_starts_them(case: Case) -> None:
    with pytest.raises(BackendError, match="257 threads"):
        load_backend(case.files, case.target, threads=257)


def test_unknown_engine_is_named_with_the_known_ones() -> None:
    entry = FileEntry(name="m", sha256="0" * 64, bytes=0)
    target = Target(engine="abacus", files=(entry,), golden_tolerance=1)
    with pytest.raises(BackendError, match=r"abacus.*ncnn.*onnx.*openvino.*tflite"):
        load_backend((Path("m"),), target, threads=1)


@pytest.mark.parametrize("case", ["tflite"], indirect=True)
def test_tflite_runtime_serves_where_there_is_no_litert(
    case: Case, batch: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    litert = importlib.import_module("ai_edge_litert.interpreter")
    expected = load_backend(case.files, case.target, threads=1).infer(batch)
    for name in ("ai_edge_litert.interpreter", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"ai_edge_litert.*birdedge\[tflite\]"):
        load_backend(case.files, case.target, threads=1)

    # It has the same interface, and no wheel for current Pythons.
    older = types.ModuleType("tflite_runtime.interpreter")
    older.Interpreter = litert.Interpreter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tflite_runtime", types.ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", older)

    logits = load_backend(case.files, case.target, threads=1).infer(batch)

    np.testing.assert_array_equal(logits, expected)
