"""`birdedge models import`: a bundle from somebody else's `.tflite` or `.onnx` file."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from .backends import default_threads, load_backend
from .bundle import describe_file, new_bundle, write_manifest
from .errors import BundleError
from .golden import draw_golden_inputs, model_input, write_golden
from .labels import read_labels
from .manifest import FileEntry, Manifest, Target
from .preprocess import Preprocess
from .texts import what_is_wrong

_NO_FILE = FileEntry(name="none", sha256="0" * 64, bytes=0)


@dataclass(frozen=True)
class Signature:
    """What a model file takes.

    Attributes:
        engine: the backend for it.
        layout: order of the input's axes.
        size: height and width, ``None`` where the model takes any.
        dtype: ``uint8`` for pixels as they are.
        quantised: whether the model computes in integers.
    """

    engine: str
    layout: Literal["NCHW", "NHWC"]
    size: tuple[int, int] | None
    dtype: Literal["float32", "uint8"]
    quantised: bool


def import_model(
    model: Path,
    labels: Path,
    out: Path,
    *,
    name: str | None = None,
    preprocess: Preprocess | None = None,
    size: tuple[int, int] | None = None,
    license_: str = "",
    overwrite: bool = False,
) -> Path:
    """Make a bundle of a foreign model.

    Args:
        model: a ``.tflite`` or ``.onnx`` classifier of one picture.
        labels: its species, one a line, in class order.
        out: the bundle's folder.
        name: the bundle's id; the model file's name if not given.
        preprocess: how pictures reach the model; its input size is taken from the model.
        size: for models that take any size.
        license_: what the model may be used for.
        overwrite: replace an existing bundle.

    Raises:
        BundleError: labels and outputs differ in number, the model gives NaN, its input is not
            one RGB picture, takes another size or no mean, or its name or licence cannot be
            printed.
        BackendError: the engine cannot load the model.
        MissingExtraError: the engine is not installed.
    """
    if not model.is_file():
        raise BundleError(f"no model file at {model}")
    names = read_labels(labels)
    signature = inspect_model(model)
    input_size = signature.size or size
    if input_size is None:
        raise BundleError(f"{model} takes any input size; say which with --input-size")
    if size is not None and size != input_size:
        taken = "x".join(map(str, input_size))
        raise BundleError(f"{model} takes {taken} pixels, whatever --input-size says")
    usual = Preprocess()
    preprocess = (preprocess or usual).model_copy(update={"input_size": input_size})
    scaled = (preprocess.mean, preprocess.std) != (usual.mean, usual.std)
    if signature.dtype == "uint8" and scaled:
        raise BundleError(f"{model} takes pixels as they are, whatever --mean and --std say")
    target = Target(
        engine=signature.engine,
        files=(_NO_FILE,),
        layout=signature.layout,
        dtype=signature.dtype,
        golden_tolerance=1.0,
    )
    inputs = draw_golden_inputs(input_size)
    given = _run(model, target, model_input(inputs, preprocess, target))
    _check_output(given, len(names), model, labels)
    spread = float(given.max() - given.min()) or 1.0
    target_name = f"{signature.engine}-{'int8' if signature.quantised else 'fp32'}"
    with new_bundle(out, overwrite=overwrite) as draft:
        copy = draft / f"model{model.suffix.lower()}"
        shutil.copyfile(model, copy)
        target = target.model_copy(
            update={
                "files": (describe_file(copy),),
                "output": "probabilities" if _are_probabilities(given) else "logits",
                # Integer kernels round differently from one CPU to the next.
                "golden_tolerance": spread * (0.1 if signature.quantised else 0.01),
            }
        )
        golden = write_golden(draft, inputs, {target_name: given})
        try:
            manifest = Manifest(
                id=name or model.stem,
                created=datetime.now(UTC),
                labels=tuple(names),
                preprocess=preprocess,
                targets={target_name: target},
                golden=describe_file(golden),
                license=license_,
                provenance={"imported_from": model.name},
            )
        except ValidationError as error:
            raise BundleError(f"cannot describe {model}: {what_is_wrong(error)}") from error
        write_manifest(draft, manifest)
    return out


def inspect_model(model: Path) -> Signature:
    """Read what a model file takes.

    Raises:
        BundleError: the kind of file is unknown, or its input is not one RGB picture.
    """
    if model.suffix.lower() == ".onnx":
        return _inspect_onnx(model)
    if model.suffix.lower() == ".tflite":
        return _inspect_tflite(model)
    raise BundleError(f"{model} is neither .onnx nor .tflite")


def _inspect_onnx(model: Path) -> Signature:
    from .backends.onnx import open_session

    session = open_session(model, threads=1)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise BundleError(f"{model} takes {len(inputs)} inputs instead of one picture")
    layout, size = _picture_axes(list(inputs[0].shape), model)
    dtype: Literal["float32", "uint8"] = "uint8" if "uint8" in inputs[0].type else "float32"
    # Integer graphs hold QuantizeLinear (QDQ form) or QLinearConv (operator form) nodes.
    graph = model.read_bytes()
    quantised = b"QuantizeLinear" in graph or b"QLinearConv" in graph
    return Signature("onnx", layout, size, dtype, quantised)


def _inspect_tflite(model: Path) -> Signature:
    from .backends.tflite import open_interpreter

    detail = open_interpreter(model, threads=1).get_input_details()[0]
    layout, size = _picture_axes([int(n) for n in detail["shape"]], model)
    dtype: Literal["float32", "uint8"] = "uint8" if detail["dtype"] is np.uint8 else "float32"
    return Signature("tflite", layout, size, dtype, quantised=detail["dtype"] is not np.float32)


def _picture_axes(
    shape: list[Any], model: Path
) -> tuple[Literal["NCHW", "NHWC"], tuple[int, int] | None]:
    if len(shape) == 4 and shape[1] == 3:
        layout: Literal["NCHW", "NHWC"] = "NCHW"
        height, width = shape[2:]
    elif len(shape) == 4 and shape[3] == 3:
        layout = "NHWC"
        height, width = shape[1:3]
    else:
        raise BundleError(f"{model} takes {shape} instead of one RGB picture")
    fixed = isinstance(height, int) and isinstance(width, int)
    return layout, (height, width) if fixed else None


def _run(
    model: Path, target: Target, inputs: NDArray[np.float32] | NDArray[np.uint8]
) -> NDArray[np.float32]:
    backend = load_backend((model,), target, default_threads())
    try:
        return np.concatenate([backend.infer(inputs[i : i + 1]) for i in range(len(inputs))])
    finally:
        backend.close()


def _check_output(given: NDArray[np.float32], labels: int, model: Path, path: Path) -> None:
    if given.ndim != 2 or given.shape[1] != labels:
        raise BundleError(
            f"{model} gives {given.shape[1:]} values, {path} has {labels} lines; "
            "one line a class is needed, background among them"
        )
    if not np.isfinite(given).all():
        raise BundleError(f"{model} gives NaN or infinite values; its weights are damaged")


def _are_probabilities(given: NDArray[np.float32]) -> bool:
    """Whether a model ends in a softmax of its own."""
    # Quantised probabilities are rounded one by one: a flat answer over a thousand classes may
    # keep less than half of its sum. Logits of every drawn input never look like this.
    sums = given.sum(axis=1)
    return bool(given.min() >= 0 and given.max() <= 1 and sums.min() > 0.1 and sums.max() < 1.1)
