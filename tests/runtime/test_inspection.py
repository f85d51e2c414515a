"""Foreign models whose input birdedge cannot give are refused when they are imported."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from birdedge.runtime import importer
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import BackendError, BundleError
from birdedge.runtime.importer import import_model

Network = Callable[..., Path]
Birdedge = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("Red\nGreen\nBlue\n")
    return path


def test_weights_in_a_file_of_their_own_are_named(
    network: Network, labels: Path, tmp_path: Path, birdedge: Birdedge
) -> None:
    """As `torch.onnx.export` writes them unless told otherwise."""
    network(tmp_path / "whole.onnx")
    onnx.save(
        onnx.load(tmp_path / "whole.onnx"), tmp_path / "net.onnx",
        save_as_external_data=True, location="net.onnx.data", size_threshold=0,
    )  # fmt: skip
    assert (tmp_path / "net.onnx.data").stat().st_size > 0

    done = birdedge("models", "import", "net.onnx", "--labels", labels, "--out", "out")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "birdedge: net.onnx has its weights in another file, net.onnx.data; make one of both: "
        "onnx.save(onnx.load('net.onnx'), 'whole.onnx'), or "
        "torch.onnx.export(..., external_data=False)\n"
    )
    assert not (tmp_path / "out").exists()
    # What is told helps.
    onnx.save(onnx.load(tmp_path / "net.onnx"), tmp_path / "whole.onnx")
    (tmp_path / "net.onnx.data").unlink()
    assert ModelBundle.load(import_model(tmp_path / "whole.onnx", labels, tmp_path / "out"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.DOUBLE, "double"),
        (TensorProto.INT8, "int8"),
    ],
)
def test_pixels_of_a_kind_that_birdedge_does_not_give_are_refused(
    network: Network, labels: Path, tmp_path: Path, kind: int, name: str
) -> None:
    model = takes(network(tmp_path / "net.onnx"), kind)

    with pytest.raises(BundleError, match=rf"takes {name}; birdedge gives float .* or uint8"):
        import_model(model, labels, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_pixels_as_they_are_can_be_given(network: Network, labels: Path, tmp_path: Path) -> None:
    model = takes(network(tmp_path / "net.onnx"), TensorProto.UINT8)

    folder = import_model(model, labels, tmp_path / "out")

    assert ModelBundle.load(folder).manifest.targets["onnx-fp32"].dtype == "uint8"


def test_a_fixed_batch_of_many_is_refused(network: Network, labels: Path, tmp_path: Path) -> None:
    model = network(tmp_path / "net.onnx", batch=8)

    with pytest.raises(BundleError, match="takes 8 pictures at a time; export it for one"):
        import_model(model, labels, tmp_path / "out")


@pytest.mark.parametrize(("axis", "free", "fixed"), [(2, "height", 32), (3, "width", 32)])
def test_a_size_that_is_half_free_is_refused(
    network: Network, labels: Path, tmp_path: Path, axis: int, free: str, fixed: int
) -> None:
    model = onnx.load(network(tmp_path / "net.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "side"
    onnx.save(model, tmp_path / "net.onnx")

    with pytest.raises(BundleError, match=rf"any {free}, but .* the other side is {fixed} pixels"):
        import_model(tmp_path / "net.onnx", labels, tmp_path / "out", size=(32, 32))


def test_a_size_that_no_bundle_may_have_is_refused(
    network: Network, labels: Path, tmp_path: Path, birdedge: Birdedge
) -> None:
    network(tmp_path / "any.onnx", size="side")

    done = birdedge(
        "models", "import", "any.onnx", "--labels", labels, "--out", "out", "--input-size", 5000
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "birdedge: any.onnx cannot take 5000x5000 pixels here; 1 to 4096 a side are possible\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_bundle_is_tried_before_it_takes_its_place(
    network: Network, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = import_model(network(tmp_path / "net.onnx"), labels, tmp_path / "out")
    before = ModelBundle.load(older).manifest
    run = importer._run
    monkeypatch.setattr(importer, "_run", lambda *given: run(*given) + np.float32(1))

    with pytest.raises(BundleError, match="does not give the same answer twice"):
        import_model(tmp_path / "net.onnx", labels, older, overwrite=True)

    assert ModelBundle.load(older).manifest == before


def test_a_model_that_says_any_batch_but_takes_one_is_refused(
    network: Network, labels: Path, tmp_path: Path
) -> None:
    model = onnx.load(network(tmp_path / "net.onnx"))
    flatten = next(node for node in model.graph.node if node.op_type == "Flatten")
    flatten.op_type = "Reshape"
    flatten.input.append("shape")
    model.graph.initializer.append(helper.make_tensor("shape", TensorProto.INT64, [2], [1, 3]))
    onnx.save(model, tmp_path / "net.onnx")

    with pytest.raises(BackendError, match=r"a bundle of .*net\.onnx cannot be used: "):
        import_model(tmp_path / "net.onnx", labels, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def takes(path: Path, kind: Any) -> Path:
    """Have a network take another kind of numbers, which it makes float of."""
    model = onnx.load(path)
    taken = model.graph.input[0]
    taken.type.tensor_type.elem_type = kind
    for node in model.graph.node:
        node.input[:] = ["floats" if name == taken.name else name for name in node.input]
    cast = helper.make_node("Cast", [taken.name], ["floats"], to=TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    onnx.save(model, path)
    return path
