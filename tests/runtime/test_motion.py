"""Birds are found where they are, and weather is not: real birds composed into real scenes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from birdedge.benchmarks.footage import Bird, Footage
from birdedge.runtime.motion import MotionDetector
from birdedge.runtime.regions import Region
from birdedge.runtime.sources import Frame

WIDTH, HEIGHT = 1280, 720
PERCH = (0.55, 0.5)
VISIT = [(-0.2, 0.3), PERCH, PERCH, PERCH, (1.2, 0.4)]
Found = tuple[float, list[Region], dict[int, tuple[float, float, float, float]]]


@pytest.fixture(scope="module", params=["realshort", "cockatoo"])
def scene(request: pytest.FixtureRequest, shared: Path) -> NDArray[np.uint8]:
    """A still of a real scene: plants at a window, a porch."""
    video = cv2.VideoCapture(str(shared / "data" / "scenes" / f"{request.param}.mp4"))
    if request.param == "cockatoo":
        video.set(cv2.CAP_PROP_POS_FRAMES, 279)
    read, bgr = video.read()
    assert read
    video.release()
    return cv2.cvtColor(cv2.resize(bgr, (WIDTH, HEIGHT)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def photos(shared: Path) -> dict[str, NDArray[np.uint8]]:
    """One of each of four species, large and small, dark and white."""
    species = ("Blue_Jay", "Downy_Woodpecker", "American_Goldfinch", "Brown_Pelican")
    folder = shared / "data" / "cub100" / "test"
    return {
        name: np.asarray(Image.open(sorted((folder / name).iterdir())[0]).convert("RGB"))
        for name in species
    }


def visits(photos: dict[str, NDArray[np.uint8]], first: float = 3.0) -> list[Bird]:
    sizes = (0.2, 0.3, 0.4, 0.15)
    return [
        Bird(name, photo, first + 6 * number, 5.0, VISIT, size)
        for number, ((name, photo), size) in enumerate(zip(photos.items(), sizes, strict=True))
    ]


def watch(footage: Footage, detector: MotionDetector | None = None) -> Iterator[Found]:
    detector = detector or MotionDetector()
    for number, (second, pixels, boxes) in enumerate(footage.frames()):
        frame = Frame(pixels, datetime.now(UTC), "garden", number, second)
        yield second, detector(frame), boxes


def share_inside(box: tuple[float, float, float, float], region: Region) -> float:
    """How much of the visible part of a box a region covers."""
    left, top, right, bottom = np.clip(box, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))
    across = min(right, region.right) - max(left, region.left)
    down = min(bottom, region.bottom) - max(top, region.top)
    return max(across, 0) * max(down, 0) / max((right - left) * (bottom - top), 1)


def visible(box: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = np.clip(box, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))
    return (right - left) * (bottom - top) > 0.5 * (box[2] - box[0]) ** 2


def count(footage: Footage, share: float) -> tuple[int, int, int]:
    """Birds in all frames, those of which a share is found, and regions without a bird."""
    there = found = false = 0
    for _, regions, boxes in watch(footage):
        for box in filter(visible, boxes.values()):
            there += 1
            found += any(share_inside(box, region) > share for region in regions)
        false += sum(
            not any(share_inside(box, region) > 0 for box in boxes.values()) for region in regions
        )
    return there, found, false


WEATHER = {
    "calm": {},
    "wind and rain": {"wind": 4.0, "rain": 80},
    "clouds": {"light": ((0, 1), (8, 1), (9, 0.6), (17, 0.65), (17.4, 1.1))},
}


@pytest.mark.parametrize("weather", WEATHER.values(), ids=WEATHER)
def test_birds_are_found_and_nothing_else_is(
    scene: NDArray[np.uint8], photos: dict[str, NDArray[np.uint8]], weather: dict
) -> None:
    footage = Footage(scene, visits(photos), seconds=28, **weather)
    there, found, false = count(footage, share=0.7)

    assert there > 100
    assert found >= 0.97 * there
    assert false <= 2


@pytest.mark.parametrize(
    ("weather", "share"),
    [
        ({"wind": 4.0, "rain": 150, "noise": 6.0}, 0.01),
        # How leaves sway is learned over minutes; until then a storm shows now and then.
        ({"wind": 7.0, "rain": 150, "noise": 6.0}, 0.2),
        ({"light": ((0, 1), (5, 1), (5.3, 0.5), (20, 0.5), (20.1, 1.3))}, 0.01),
        ({"light": ((0, 1), (40, 0.2)), "wind": 3.0}, 0.01),
    ],
    ids=["rain", "storm", "a lamp off and on", "dusk"],
)
def test_nothing_is_found_where_nothing_is(
    scene: NDArray[np.uint8], weather: dict, share: float
) -> None:
    frames = [found for _, found, _ in watch(Footage(scene, seconds=40, fps=5, **weather))]

    assert sum(map(len, frames)) <= share * len(frames)


def test_who_stays_long_is_background_and_leaves_no_ghost(
    scene: NDArray[np.uint8], photos: dict[str, NDArray[np.uint8]]
) -> None:
    bird = Bird("Blue_Jay", photos["Blue_Jay"], 3.0, 180.0, [PERCH, PERCH])
    seen = [
        second
        for second, regions, _ in watch(Footage(scene, [bird], seconds=200, fps=2))
        if regions
    ]

    assert seen[0] < 4.1
    assert 40 < max(second for second in seen if second < 182) < 120
    assert not [second for second in seen if second > 184]


CLOUDS = [(6.0 * number + ramp, (1.0, 0.55, 0.8, 0.5, 0.95)[(number + (ramp > 0)) % 5])
          for number in range(40) for ramp in (0.0, 1.5)]  # fmt: skip


@pytest.mark.parametrize("weather", [{}, {"wind": 3.0, "rain": 40}], ids=["calm", "wind and rain"])
def test_clouds_while_birds_sit_leave_nothing_behind(
    scene: NDArray[np.uint8], photos: dict[str, NDArray[np.uint8]], weather: dict
) -> None:
    perches = [(0.2, 0.4), (0.2, 0.4), (0.55, 0.4), (0.55, 0.4), (0.8, 0.3), (0.8, 0.3)]
    birds = [
        Bird(name, photo, 4 + 35.0 * number, 28.0, [(-0.3, 0.5), *perches, (1.3, 0.4)], 0.42)
        for number, (name, photo) in enumerate(photos.items())
    ]
    footage = Footage(scene, birds, seconds=150, fps=5, light=CLOUDS, **weather)
    there, found, false = count(footage, share=0.5)

    assert found >= 0.9 * there
    assert false <= 15


def test_who_stands_for_a_minute_is_background_also_in_changing_light(
    scene: NDArray[np.uint8], photos: dict[str, NDArray[np.uint8]]
) -> None:
    bird = Bird("Blue_Jay", photos["Blue_Jay"], 3.0, 150.0, [PERCH, PERCH])
    footage = Footage(scene, [bird], seconds=170, fps=2, light=CLOUDS)
    seen = [second for second, regions, _ in watch(footage) if regions]

    assert 30 < max(second for second in seen if second < 152) < 120
    assert len([second for second in seen if second > 154]) <= 4


def test_outside_the_zones_nothing_counts(
    scene: NDArray[np.uint8], photos: dict[str, NDArray[np.uint8]]
) -> None:
    right = [(0.9, 0.0), (1.0, 0.0), (1.0, 1.0), (0.9, 1.0)]
    bird = Bird("Blue_Jay", photos["Blue_Jay"], 2.0, 6.0, VISIT, 0.2)
    seconds = [
        second
        for second, regions, _ in watch(
            Footage(scene, [bird], seconds=9), MotionDetector(zones=[right])
        )
        if regions
    ]

    assert seconds and min(seconds) > 6.5


def test_a_turned_camera_is_a_new_scene(scene: NDArray[np.uint8]) -> None:
    detector = MotionDetector()
    frames = [scene] * 10 + [np.ascontiguousarray(scene[::-1, ::-1])] * 30
    found = [
        detector(Frame(pixels, datetime.now(UTC), "garden", number, number / 10))
        for number, pixels in enumerate(frames)
    ]

    assert sum(map(len, found)) <= 10


def test_regions_are_squares_within_the_frame(
    scene: NDArray[np.uint8], photos: dict[str, NDArray[np.uint8]]
) -> None:
    regions = [
        region
        for _, found, _ in watch(Footage(scene, visits(photos)[:2], seconds=14))
        for region in found
    ]

    assert regions
    for region in regions:
        assert 0 <= region.left < region.right <= WIDTH
        assert 0 <= region.top < region.bottom <= HEIGHT
        across, down = region.right - region.left, region.bottom - region.top
        assert abs(across - down) <= 2 or down == HEIGHT
