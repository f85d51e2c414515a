"""What the training tests share: drawn photos, the two layouts, and the configuration."""

import logging
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from absl import logging as absl_logging
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image, ImageDraw

REPOSITORY = Path(__file__).parents[2]

Box = tuple[float, float, float, float]

_SHAPES: dict[str, tuple[str, Callable[[ImageDraw.ImageDraw, list[float], str], None]]] = {
    "Blue_Disc": ("blue", lambda pen, corners, color: pen.ellipse(corners, fill=color)),
    "Green_Square": ("green", lambda pen, corners, color: pen.rectangle(corners, fill=color)),
    "Red_Diamond": (
        "red",
        lambda pen, corners, color: pen.regular_polygon(
            (
                (corners[0] + corners[2]) / 2,
                (corners[1] + corners[3]) / 2,
                (corners[2] - corners[0]) / 2,
            ),
            4,
            rotation=45,
            fill=color,
        ),
    ),
}
SPECIES = tuple(sorted(_SHAPES))


def draw_bird(path: Path, species: str, seed: int, size: tuple[int, int] = (80, 64)) -> Box:
    """Draw a species' shape somewhere on a grey ground; returns its box."""
    chooser = random.Random(f"{species}-{seed}")
    image = Image.new("RGB", size, (chooser.randint(90, 160),) * 3)
    side = chooser.randint(24, 36)
    left, top = chooser.randint(0, size[0] - side), chooser.randint(0, size[1] - side)
    color, draw = _SHAPES[species]
    draw(ImageDraw.Draw(image), [left, top, left + side - 1, top + side - 1], color)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95)
    return (float(left), float(top), float(side), float(side))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``train/<species>`` with 12 photos of each of three species, ``test/<species>`` with 4."""
    root = tmp_path / "shapes"
    for part, count, start in (("train", 12, 0), ("test", 4, 100)):
        for species in SPECIES:
            for number in range(count):
                draw_bird(root / part / species / f"{number:02}.jpg", species, start + number)
    return root


@pytest.fixture
def cub(tmp_path: Path) -> Path:
    """The official CUB-200-2011 layout, drawn: three species, eight photos each, half for tests."""
    root = tmp_path / "drawn" / "CUB_200_2011"
    images, labels, split, boxes = [], [], [], []
    for class_id, species in enumerate(SPECIES, start=1):
        for number in range(8):
            image_id = len(images) + 1
            name = f"{class_id:03}.{species}/{species}_{number:04}.jpg"
            box = draw_bird(root / "images" / name, species, number)
            images.append(f"{image_id} {name}")
            labels.append(f"{image_id} {class_id}")
            split.append(f"{image_id} {int(number % 2 == 0)}")
            boxes.append(f"{image_id} {' '.join(map(str, box))}")
    classes = [f"{number} {number:03}.{name}" for number, name in enumerate(SPECIES, start=1)]
    lists = {
        "classes": classes,
        "images": images,
        "image_class_labels": labels,
        "train_test_split": split,
        "bounding_boxes": boxes,
    }
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def configured() -> Callable[..., DictConfig]:
    """The configuration of ``birdedge train`` with overrides, made small and quick."""

    def configure(root: Path, *overrides: str) -> DictConfig:
        with initialize_config_dir(str(REPOSITORY / "configs"), version_base="1.3"):
            return compose("train", list(small_settings(root)) + list(overrides))

    return configure


def small_settings(root: Path) -> tuple[str, ...]:
    return (
        "data=folder",
        f"data.root={root}",
        "data.batch_size=8",
        "data.workers=0",
        "data.val_fraction=0.25",
        "model.name=test_resnet",
        "model.pretrained=false",
        "preprocess.input_size=[64,64]",
        "augment.min_scale=0.8",
        "augment.color=0.0",
        "optimizer.lr=0.01",
        "trainer.accelerator=cpu",
        "trainer.precision=32-true",
        "trainer.epochs=3",
        "trainer.ema_decay=0.5",
        "wandb.mode=disabled",
    )


@pytest.fixture
def settings() -> Callable[[Path], tuple[str, ...]]:
    """The same small settings as command-line arguments."""
    return small_settings


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def inat_weights() -> Path:
    """The real iNaturalist bird weights, with batch norm folded away."""
    path = REPOSITORY.parent / "shared" / "weights" / "mobilenetv2_100_inat_birds965.safetensors"
    if not path.is_file():
        pytest.skip(f"the real weights are not at {path}")
    return path


@pytest.fixture(scope="session")
def captured_stream_stays_open() -> None:
    """Keep absl's log handler, which the converters bring along, off the stream pytest captures.

    Hydra closes all log handlers, and absl's closes its stream unless it is the interpreter's own.
    """
    absl_logging.get_absl_handler().python_handler.setStream(sys.__stderr__)


@pytest.fixture
def birdedge(
    captured_stream_stays_open: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run the command line in this process, in an empty folder: exit code, stdout, stderr."""
    from birdedge.cli import main

    # Hydra gives the root logger a handler that writes to the stream captured here: later tests
    # would find it closed.
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]

    # `birdedge train` sets it; noting it here puts it back after the test.
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["birdedge", *arguments])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    yield call
    root.setLevel(level)
    root.handlers[:] = handlers
