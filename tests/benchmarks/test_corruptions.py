"""Photos are made worse step by step, and stay photos."""

import numpy as np
import pytest
from PIL import Image

from birdedge.benchmarks.corruptions import CORRUPTIONS, corrupted
from birdedge.runtime.golden import draw_golden_inputs


@pytest.fixture
def image() -> Image.Image:
    """Shapes and gradients, with some grain, as photos have it."""
    drawn = draw_golden_inputs((160, 200))[0].astype(np.int16)
    grain = np.random.default_rng(0).integers(-20, 20, drawn.shape)
    return Image.fromarray(np.clip(drawn + grain, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("kind", ["brightness", "blur", "noise", "JPEG"])
def test_each_step_is_farther_from_the_photo(image: Image.Image, kind: str) -> None:
    before = np.asarray(image, np.float64)
    worse = [corrupted(image, kind, severity) for severity in (1, 2, 3)]
    distances = [np.abs(np.asarray(one, np.float64) - before).mean() for one in worse]

    assert all(one.size == image.size and one.mode == "RGB" for one in worse)
    assert 1 < distances[0] < distances[1] < distances[2]


def test_a_small_bird_is_whole_and_in_the_middle(image: Image.Image) -> None:
    assert list(CORRUPTIONS["small bird"][1]) == [0.75, 0.5, 0.25]
    smaller = corrupted(image, "small bird", 2)
    middle = smaller.crop((50, 40, 150, 120))
    expected = image.resize((100, 80), Image.Resampling.BILINEAR)

    assert np.array_equal(np.asarray(middle), np.asarray(expected))


def test_noise_is_the_same_in_every_run(image: Image.Image) -> None:
    once, again = (np.asarray(corrupted(image, "noise", 1)) for _ in range(2))

    assert np.array_equal(once, again)
    assert np.std(once.astype(float) - np.asarray(image)) == pytest.approx(0.08 * 255, rel=0.15)
