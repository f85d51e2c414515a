"""`birdedge models import`: a bundle from somebody else's `.tflite` or `.onnx` file."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from .backends import default_threads, load_backend
from .bundle import ModelBundle, describe_file, new_bundle, write_manifest
from .errors import BackendError, BundleError
from .golden import draw_golden_inputs, model_input, self_test, write_golden
from .inspection import check_size, inspect_model
from .labels import read_labels
from .manifest import FileEntry, Manifest, Target
from .preprocess import Preprocess
from .texts import what_is_wrong

_NO_FILE = FileEntry(name="none", sha256="0" * 64, bytes=0)


def import_model(
    model: Path,
    labels: Path,
    out: Path,
    *,
    name: str | None = None,
    preprocess: Preprocess | None = None,
    size: tuple[int, int] | None = None,
    threshold: float = 0.5,
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
        threshold: an answer less probable than this is "unknown"; it is more likely wrong than
            right where probabilities are well calibrated.
        license_: what the model may be used for.
        overwrite: replace an existing bundle.

    Raises:
        BundleError: labels and outputs differ in number, the model gives NaN or something else
            each time, its weights lie in another file, its input is not one RGB picture of a kind
            that birdedge gives, takes another size or no mean, the threshold is no probability, or
            name or licence cannot be printed.
        BackendError: the engine cannot load or run the model.
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
    check_size(input_size, model)
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
                unknown_threshold=threshold,
                golden=describe_file(golden),
                license=license_,
                provenance={"imported_from": model.name},
            )
        except ValidationError as error:
            raise BundleError(f"cannot describe {model}: {what_is_wrong(error)}") from error
        write_manifest(draft, manifest)
        _try_out(draft, target_name, model)
    return out


def _try_out(draft: Path, target: str, model: Path) -> None:
    """See that what was written can be read, and computes from there what the model did."""
    try:
        test = self_test(ModelBundle.load(draft), target, default_threads())
    except BackendError as error:
        raise BackendError(f"a bundle of {model} cannot be used: {error}") from error
    if not test.passed:
        raise BundleError(
            f"{model} does not give the same answer twice: they differ by "
            f"{test.largest_difference:.3g}, and {test.tolerance:.3g} is allowed"
        )


def _run(
    model: Path, target: Target, inputs: NDArray[np.float32] | NDArray[np.uint8]
) -> NDArray[np.float32]:
    backend = load_backend((model,), target, default_threads())
    try:
        return np.concatenate([backend.infer(inputs[i : i + 1]) for i in range(len(inputs))])
    finally:
        backend.close()


def _check_output(given: NDArray[np.float32], labels: int, model: Path, path: Path) -> None:
    if given.ndim != 2:
        raise BundleError(f"{model} gives values {given.shape[1:]} instead of one a class")
    classes = given.shape[1]
    if classes != labels:
        raise BundleError(
            f"{model} gives {classes:,} values, {path} has {labels:,} lines; write one line a "
            "class, in the model's order, with background for what is no bird"
        )
    if not np.isfinite(given).all():
        raise BundleError(f"{model} gives NaN or infinite values; its weights are damaged")


def _are_probabilities(given: NDArray[np.float32]) -> bool:
    """Whether a model ends in a softmax of its own."""
    # Quantised probabilities are rounded one by one: a flat answer over a thousand classes may
    # keep less than half of its sum. Logits of every drawn input never look like this.
    sums = given.sum(axis=1)
    return bool(given.min() >= 0 and given.max() <= 1 and sums.min() > 0.1 and sums.max() < 1.1)
