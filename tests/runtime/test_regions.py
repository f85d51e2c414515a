"""Regions as people write them, and the pictures that they make of frames."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from birdedge.runtime.classifier import Classifier
from birdedge.runtime.regions import (
    FixedRegion,
    MovingPart,
    Region,
    parse_region,
    parse_zone,
    pictures_of,
)
from birdedge.runtime.sources import Frame
from birdedge.runtime.visits import View


@pytest.fixture
def frame() -> Frame:
    pixels = np.arange(100 * 200 * 3, dtype=np.uint32).reshape(100, 200, 3).astype(np.uint8)
    return Frame(pixels, datetime.now(UTC), "usb:0", 7, 1.5)


def test_a_region_is_a_part_of_each_frame(frame: Frame) -> None:
    (picture,) = pictures_of([frame], parse_region("0.25,0.5,0.5,0.25"))

    assert picture.box == (50, 50, 150, 75)
    assert (picture.name, picture.frame) == ("usb:0", frame)
    np.testing.assert_array_equal(picture.read(), frame.pixels[50:75, 50:150])


def test_the_smallest_region_is_a_pixel(frame: Frame) -> None:
    assert FixedRegion(0.999, 0.999, 0.0001, 0.0001)(frame) == [Region(199, 99, 200, 100)]


def test_a_part_is_looked_at_while_something_moves_and_says_how_much_of_it(frame: Frame) -> None:
    moving: list[Region] = []
    look = MovingPart(parse_region("0.25,0.5,0.5,0.5"), lambda _: moving)
    assert look(frame) == []

    moving += [Region(0, 0, 75, 100), Region(100, 50, 150, 75)]
    (region,) = look(frame)
    assert region == Region(50, 50, 150, 100)
    assert region.filled == 0.25


def test_a_view_counts_by_how_much_of_it_moves(frame: Frame, classifier: Classifier) -> None:
    region = Region(20, 40, 100, 100)
    whole, half = (
        View.of(frame, replace(region, filled=share), classifier) for share in (1.0, 0.5)
    )
    assert half.quality() == pytest.approx(0.5 * whole.quality())


def test_a_part_has_the_corners_of_a_zone() -> None:
    corners = parse_region("0.25,0.5,0.5,0.25").corners
    assert list(corners) == parse_zone("0.25,0.5 0.75,0.5 0.75,0.75 0.25,0.75")


@pytest.mark.parametrize(
    "text", ["", "1,1", "0,0,1", "0,0,1,1,1", "0,0,0,1", "0.5,0,0.6,1", "-0.1,0,1,1", "a,0,1,1",
             "nan,0,1,1", "0,0,inf,1"],
)  # fmt: skip
def test_what_is_no_region_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"from 0 to 1|within the frame"):
        parse_region(text)


def test_a_zone_has_corners() -> None:
    assert parse_zone("0,0  1,0 0.5,1") == [(0, 0), (1, 0), (0.5, 1)]


@pytest.mark.parametrize("text", ["", "0,0 1,1", "0,0 1,0 2,1", "0,0 1,0 1"])
def test_what_is_no_zone_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"needs three|from 0 to 1"):
        parse_zone(text)
