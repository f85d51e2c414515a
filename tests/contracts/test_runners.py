"""One contract for all runners of the bench: the same file gives the same answers, bare or not."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tiny import ARCHITECTURE, MODEL_ARGS, tiny_network
from torch import nn

from birdedge.benchmarks.contenders import Contender
from birdedge.benchmarks.lineup import contenders_of, torch_peers, with_peers
from birdedge.benchmarks.runners import import_runner
from birdedge.benchmarks.tools import ask_tool
from birdedge.benchmarks.worker import Answer, AskEngine, TimeEndToEnd, TimeInference
from birdedge.benchmarks.worker.process import Worker
from birdedge.compress.exporters import load_exporter
from birdedge.compress.quantizers import CalibrationSet, quantize
from birdedge.compress.verify import run_exported
from birdedge.runtime.bundle import ModelBundle, describe_file, write_manifest
from birdedge.runtime.golden import draw_golden_inputs, write_golden
from birdedge.runtime.labels import Label
from birdedge.runtime.manifest import Manifest, Target
from birdedge.runtime.preprocess import Preprocess
from birdedge.train.checkpoint import CheckpointInfo, Provenance, save_checkpoint

SIZE = (64, 64)
CLASSES = 5
PREPROCESS = Preprocess(input_size=SIZE)
LABELS = tuple(Label(scientific_name=f"Species {number}") for number in range(CLASSES))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    network = tiny_network(CLASSES)
    nn.init.normal_(network.classifier.weight, std=0.5)
    return network


@pytest.fixture(scope="module")
def bundle(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """Seven targets: three engines, in float and in INT8, and one in float alone."""
    folder = tmp_path_factory.mktemp("bundle")
    drawn = draw_golden_inputs(SIZE)
    targets, logits = {}, {}
    for engine in ("onnx", "openvino", "tflite", "ncnn"):
        kinds = {"fp32": load_exporter(engine).export(network, SIZE, folder)}
        if engine != "ncnn":
            calibration = CalibrationSet(drawn, PREPROCESS)
            kinds["int8"] = quantize(kinds["fp32"], calibration, folder)
        for kind, model in kinds.items():
            files = tuple(describe_file(file) for file in model.files)
            name = f"{engine}-{kind}"
            targets[name] = Target(
                engine=engine, files=files, layout=model.layout, golden_tolerance=1
            )
            logits[name] = run_exported(model, PREPROCESS, drawn)
    golden = describe_file(write_golden(folder, drawn, logits))
    manifest = Manifest(
        id="tiny", created=datetime.now(UTC), labels=LABELS, preprocess=PREPROCESS,
        targets=targets, golden=golden,
    )  # fmt: skip
    write_manifest(folder, manifest)
    return ModelBundle.load(folder)


@pytest.fixture(scope="module")
def checkpoint(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    info = CheckpointInfo(
        architecture=ARCHITECTURE, model_args=MODEL_ARGS, labels=LABELS,
        preprocess=PREPROCESS, provenance=Provenance(command="", data_digest="", config={}),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("checkpoint") / "checkpoint.safetensors"
    save_checkpoint(path, network, info)
    return path


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "drawn.png"
    Image.fromarray(draw_golden_inputs((90, 70))[1]).save(path)
    return path


def all_of(bundle: ModelBundle) -> Sequence[Contender]:
    return list(with_peers(contenders_of([bundle.folder], None, [1], [1])))


def test_the_bare_loop_gives_what_birdedge_gives(
    bundle: ModelBundle, photo: Path, network: nn.Module
) -> None:
    ours: dict[str, NDArray[np.float32]] = {}
    pictures = draw_golden_inputs(SIZE)
    assert len(all_of(bundle)) == 14
    for contender in all_of(bundle):
        runner = import_runner(contender).load(contender)
        runner.prepare(pictures[:1])
        given = _logits(runner.infer())
        named = runner.classify(photo.read_bytes())
        if contender.runner == "birdedge":
            ours[contender.target] = given
            answer = named.ranked[0].label  # type: ignore[attr-defined]
            number = LABELS.index(answer)
        elif contender.target == "onnx-int8":
            # Without VNNI, ONNX Runtime's own defaults let sums saturate; birdedge does not.
            assert given.shape == ours[contender.target].shape
        else:
            # Integers that come out are a scale away, and order is all that counts then.
            assert given.argmax() == ours[contender.target].argmax()
            assert named in range(CLASSES)
            if contender.target.endswith("fp32"):
                np.testing.assert_allclose(given, ours[contender.target], atol=0.05)
                # Of integers a rounding may turn an answer that was close.
                assert named == number, contender.name
        assert all(each > 0 for each in runner.own_milliseconds(3))


def test_each_works_as_a_process(bundle: ModelBundle, photo: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "pictures.npy", draw_golden_inputs(SIZE))
    for contender in all_of(bundle):
        worker = Worker(contender, 60)
        assert all(seconds > 0 for seconds in worker.ask(TimeInference(3)))
        assert len(worker.ask(TimeEndToEnd((photo, photo)))) == 2
        told = worker.ask(AskEngine(3))
        assert len(told) >= 3 or contender.runner != "bare onnx"
        if contender.runner == "birdedge":
            worker.ask(Answer(tmp_path / "pictures.npy", tmp_path / "logits.npy"))
            assert np.load(tmp_path / "logits.npy").shape == (4, CLASSES)
        worker.close()


def test_the_network_itself_gives_what_its_targets_give(
    bundle: ModelBundle, checkpoint: Path, photo: Path
) -> None:
    eager, compiled = torch_peers(checkpoint, contenders_of([bundle.folder], None, [1], [1]))
    runner = import_runner(eager).load(eager)
    pictures = draw_golden_inputs(SIZE)
    given = runner.answer(pictures)  # type: ignore[attr-defined]
    (ours,) = contenders_of([bundle.folder], ["onnx-fp32"], [1], [1])
    expected = import_runner(ours).load(ours).answer(pictures)  # type: ignore[attr-defined]

    assert (eager.name, compiled.name) == ("torch-fp32 (torch eager)", "torch-fp32 (torch.compile)")
    np.testing.assert_allclose(given, expected, atol=1e-3)
    assert runner.classify(photo.read_bytes()) in range(CLASSES)


def test_engines_own_tools_time_the_same_files(bundle: ModelBundle) -> None:
    names = {}
    for contender in contenders_of([bundle.folder], None, [1], [1]):
        ours = iter([[0.004, 0.006], [0.005], [0.005], [0.5]])  # a host that others slow down
        figure = ask_tool(contender, lambda ours=ours: next(ours), 20, 60)
        names[contender.target] = figure and figure.tool
        if figure is not None:
            assert 0 < figure.milliseconds < 1000
            assert figure.ours == pytest.approx(5.0)

    assert names == {
        "onnx-fp32": None, "onnx-int8": None,
        "openvino-fp32": "benchmark_app", "openvino-int8": "benchmark_app",
        "tflite-fp32": "litert-benchmark", "tflite-int8": "litert-benchmark",
        "ncnn-fp32": None,
    }  # fmt: skip


def _logits(given: object) -> NDArray[np.float32]:
    """The first output, however an engine gives it."""
    if isinstance(given, list):
        given = given[0]
    elif not isinstance(given, np.ndarray):
        given = given[0]  # type: ignore[index]
    return np.asarray(given)
