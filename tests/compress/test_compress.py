import json
import re
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from birdedge.benchmarks import promised
from birdedge.compress.commands import compress as command
from birdedge.compress.compress import Compressed, compress
from birdedge.compress.confidence import UNKNOWN_THRESHOLD
from birdedge.compress.targets import TARGETS, Calibration
from birdedge.compress.tolerance import Tolerance
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.errors import BackendError, BundleError, CheckpointError
from birdedge.runtime.golden import self_test
from birdedge.runtime.preprocess import read_image
from birdedge.train.checkpoint import save_checkpoint

FEW = Calibration(photos=12)


@pytest.fixture(scope="module")
def compressed(trained, tmp_path_factory: pytest.TempPathFactory) -> Compressed:
    out = tmp_path_factory.mktemp("bundles") / "shapes"
    return compress(trained.path, out, calibration=FEW, tolerance=Tolerance(20, 80))


def test_bundle_loads_and_passes_its_self_test(compressed: Compressed) -> None:
    bundle = ModelBundle.load(compressed.folder)
    assert set(bundle.manifest.targets) == {"onnx-fp32", "onnx-int8"}
    for target in bundle.manifest.targets:
        assert self_test(bundle, target, threads=2).passed


def test_bundle_names_drawn_shapes(compressed: Compressed, trained) -> None:
    classifier = Classifier(ModelBundle.load(compressed.folder), "onnx-int8", threshold=0.0)
    for name in ("blue_square", "green_bar", "red_disc"):
        photo = trained.photos / "test" / name / "0.png"
        assert classifier.classify(read_image(photo)).name == name


def test_manifest_records_accuracy_temperature_and_origin(compressed: Compressed) -> None:
    manifest = compressed.manifest
    assert re.fullmatch(r"mobilenetv2_035-shapes-[0-9a-f]{8}", manifest.id)
    accuracy = manifest.targets["onnx-int8"].accuracy
    assert accuracy is not None
    assert accuracy.samples == 24
    assert accuracy.low < accuracy.top1 <= accuracy.high
    assert 0.25 <= manifest.temperature < 10
    assert manifest.unknown_threshold == UNKNOWN_THRESHOLD
    assert manifest.open_set is None  # a dozen validation photos say nothing about it
    assert manifest.provenance["command"] == "birdedge train data=folder"
    how = manifest.provenance["compression"]["calibration"]
    assert how == {"onnx-int8": {"photos": 12, "method": "minmax"}}


def test_bundle_tells_no_folder_of_this_machine(compressed: Compressed, trained) -> None:
    for file in compressed.folder.iterdir():
        assert str(trained.photos.parent).encode() not in file.read_bytes()


def test_model_card_shows_the_figures_of_every_target(compressed: Compressed) -> None:
    card = (compressed.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert compressed.manifest.id in card
    assert "24 test photos of shapes" in card
    for name in ("onnx-fp32", "onnx-int8"):
        assert re.search(rf"\| {name} \| \d+\.\d\d \| ", card)


def test_same_weights_give_the_same_name_and_other_weights_another(trained) -> None:
    from birdedge.compress.package import bundle_id

    weights = trained.network.state_dict()
    name = bundle_id("net", "my birds", weights)
    assert re.fullmatch(r"net-my_birds-[0-9a-f]{8}", name)
    assert bundle_id("net", "my birds", dict(reversed(weights.items()))) == name
    changed = weights | {"classifier.bias": weights["classifier.bias"] + 1}
    assert bundle_id("net", "my birds", changed) != name


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("/home/me/photos", "photos"),
        (
            "birdedge train data.root=/home/me/photos seed=1",
            "birdedge train data.root=photos seed=1",
        ),
        ("../shared/photos", "../shared/photos"),
        ("gs://bucket/photos/cub", "gs://bucket/photos/cub"),
    ],
)
def test_record_keeps_names_but_no_folders(value: str, kept: str) -> None:
    from birdedge.compress.package import without_folders

    assert without_folders({"a": [value, 3]}) == {"a": [kept, 3]}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("onnx-int8", ("onnx-int8",)),
        ("ncnn-fp32,ncnn-fp16", ("ncnn-fp32", "ncnn-fp16")),
        ("all", tuple(name for name in TARGETS if not name.startswith("ncnn"))),
    ],
)
def test_command_prints_the_bundles_path_alone(
    compressed: Compressed,
    trained,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: str,
    wanted: tuple[str, ...],
) -> None:
    asked = {}

    def fake(checkpoint: Path, out: Path, **options: object) -> Compressed:
        asked.update(options, checkpoint=checkpoint, out=out)
        return compressed

    monkeypatch.setattr("birdedge.compress.compress.compress", fake)
    result = CliRunner().invoke(
        command, [str(trained.path), "--out", str(tmp_path / "b"), "--targets", given]
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{compressed.folder}\n"
    assert "onnx-int8" in result.stderr
    assert asked["targets"] == wanted
    assert asked["calibration"] == Calibration(256, "minmax")


@pytest.mark.parametrize(
    "wrong", [["--targets", "onnx-int4"], ["--calibration", "guess"], ["--calibration-photos", "0"]]
)
def test_command_refuses_what_it_does_not_know(wrong: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["a.safetensors", "--out", str(tmp_path / "b"), *wrong])
    assert result.exit_code == 2
    assert wrong[0] in result.stderr


def test_network_with_nan_logits_gives_no_bundle(trained, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    huge = {name: tensor.clone() for name, tensor in trained.network.state_dict().items()}
    huge["classifier.weight"].fill_(3e38)  # finite, as its sums are not
    network = torch.nn.Module()
    network.state_dict = lambda: huge  # type: ignore[method-assign]
    save_checkpoint(broken, network, trained.info)
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        compress(broken, tmp_path / "bundle", targets=("onnx-fp32",))
    assert {path.name for path in tmp_path.iterdir()} == {broken.name, "bundle.work"}


@pytest.fixture
def learned_from_all(trained, tmp_path: Path) -> Path:
    """The checkpoint of a network that had no photos held out; its weights are twice as sure."""
    provenance = trained.info.provenance
    config = provenance.config | {"data": provenance.config["data"] | {"val_fraction": 0}}
    info = trained.info.model_copy(
        update={"provenance": provenance.model_copy(update={"config": config})}
    )
    network = deepcopy(trained.network)
    with torch.no_grad():
        network.classifier.weight.mul_(2)
        network.classifier.bias.mul_(2)
    path = tmp_path / "all.safetensors"
    save_checkpoint(path, network, info)
    return path


def test_network_that_learned_from_all_photos_needs_a_twin(
    learned_from_all: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="--twin"):
        compress(learned_from_all, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == [learned_from_all]


def test_twin_decides_what_validation_decides(
    compressed: Compressed, learned_from_all: Path, trained, tmp_path: Path
) -> None:
    done = compress(
        learned_from_all,
        tmp_path / "bundle",
        twin=trained.path,
        calibration=FEW,
        tolerance=Tolerance(20, 80),
    )
    assert done.manifest.temperature == compressed.manifest.temperature
    assert done.manifest.unknown_threshold == compressed.manifest.unknown_threshold
    assert done.manifest.id != compressed.manifest.id
    for name, figures in done.figures.items():
        assert figures.val == compressed.figures[name].val
    # The same order of classes, at twice the confidence.
    own, twins = done.figures["onnx-fp32"].test, compressed.figures["onnx-fp32"].test
    assert own.accuracy.top1 == twins.accuracy.top1
    assert own.accuracy != twins.accuracy
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "twin" in card


def test_twin_of_another_kind_is_refused(learned_from_all: Path, trained, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    preprocess = trained.info.preprocess.model_copy(update={"resize_mode": "crop"})
    save_checkpoint(
        other, trained.network, trained.info.model_copy(update={"preprocess": preprocess})
    )
    with pytest.raises(CheckpointError, match=r"no twin: its preprocess differs"):
        compress(learned_from_all, tmp_path / "bundle", twin=other)
    assert not (tmp_path / "bundle").exists()


def test_older_bundle_is_replaced_only_on_request(compressed: Compressed, trained) -> None:
    before = json.loads((compressed.folder / "manifest.json").read_text())
    with pytest.raises(BundleError, match="--force"):
        compress(trained.path, compressed.folder, calibration=FEW)
    assert json.loads((compressed.folder / "manifest.json").read_text()) == before


@pytest.mark.slow
def test_every_known_target_can_be_made(trained, tmp_path: Path, capsys) -> None:
    """Also through `birdedge classify --target`, as its manifest says."""
    targets = tuple(TARGETS)
    done = compress(
        trained.path,
        tmp_path / "all",
        targets=targets,
        calibration=FEW,
        tolerance=Tolerance(20, 80),
    )
    for name in ("onnx-fp32", "openvino-fp16", "tflite-fp32", "ncnn-fp32", "ncnn-fp16"):
        assert done.figures[name].val.agreement == 1
    bundle = ModelBundle.load(tmp_path / "all")
    assert bundle.manifest.targets.keys() == set(targets)
    assert all(self_test(bundle, name, threads=2).passed for name in targets)
    with pytest.raises(typer.Exit) as kept:
        promised.main([bundle.folder], trained.photos / "test")
    assert kept.value.exit_code == 0
    assert capsys.readouterr().out.count("% of 24 photos") == len(targets)

    manifest = (bundle.folder / "manifest.json").read_text()
    top1 = bundle.manifest.targets["onnx-fp32"].accuracy.top1
    assert f'"top1": {top1}' in manifest
    boast = manifest.replace(f'"top1": {top1}', f'"top1": {top1 - 0.01:.3f}')
    (bundle.folder / "manifest.json").write_text(boast)
    with pytest.raises(typer.Exit) as kept:
        promised.main([bundle.folder], trained.photos / "test")
    assert kept.value.exit_code == 1


def test_a_method_that_one_target_does_not_know_is_refused_before_any_work(
    trained, tmp_path: Path
) -> None:
    said: list[str] = []
    with pytest.raises(BackendError, match="tflite knows no calibration by 'entropy'"):
        compress(
            trained.path, tmp_path / "b", targets=("onnx-int8", "tflite-int8"),
            calibration=Calibration(12, "entropy"), say=said.append,
        )  # fmt: skip
    assert said == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["onnx-int8", "openvino-fp16", "tflite-int8"])
def test_a_mirrored_bundle_answers_a_picture_and_its_mirror_image_alike(
    trained, tmp_path: Path, target: str
) -> None:
    made = compress(
        trained.path,
        tmp_path / "m",
        targets=(target,),
        calibration=FEW,
        tolerance=Tolerance(20, 80),
        mirror=True,
    )

    classifier = Classifier(ModelBundle.load(made.folder))
    picture = np.asarray(read_image(trained.photos / "test" / "green_bar" / "0.png"))
    half = np.concatenate([picture[:, :40], np.full_like(picture[:, 40:], 200)], axis=1)
    both = np.stack([classifier.fit(half), classifier.fit(half)[:, ::-1]])
    plain = Classifier(ModelBundle.load(compress_plain(trained, tmp_path, target)))
    same, other = classifier.probabilities(both), plain.probabilities(both)
    assert np.abs(same[0] - same[1]).max() < 0.02 < np.abs(other[0] - other[1]).max()
    assert made.manifest.id.startswith("mobilenetv2_035-mirrored-shapes-")
    assert "mirror image" in (made.folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def compress_plain(trained, tmp_path: Path, target: str) -> Path:
    made = compress(
        trained.path,
        tmp_path / "p",
        targets=(target,),
        calibration=FEW,
        tolerance=Tolerance(20, 80),
    )
    assert "mirror image" not in (made.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    return made.folder
