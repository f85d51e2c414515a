"""What a checkpoint says of its photos shows whether it may have learned those held out now."""

from pathlib import Path

import pytest

from birdedge.train.ancestors import may_have_learned
from birdedge.train.checkpoint import Provenance
from birdedge.train.settings import Data

DATA = {"root": "birds", "val_fraction": 0.1, "box_margin": 0.0}
NOW = Data.of({"seed": 7, "data": DATA | {"split_seed": 0}})


def test_photos_are_held_out_by_a_seed_of_their_own_and_once_were_by_the_common_one() -> None:
    assert NOW.split_seed == 0
    assert Data.of({"seed": 7, "data": DATA}).split_seed == 7


def test_what_another_version_of_birdedge_noted_of_the_photos_is_passed_over() -> None:
    assert Data.of({"seed": 7, "data": DATA | {"split_seed": 0, "mirrored": True}}) == NOW


@pytest.mark.parametrize(
    ("digest", "seed", "data", "suspected"),
    [
        ("same", 0, {}, False),
        ("same", 3, {}, True),
        ("same", 3, {"split_seed": 0}, False),
        ("same", 0, {"val_fraction": 0.0}, True),
        ("same", 0, {"root": "elsewhere"}, False),
        ("same", 3, {"root": "elsewhere"}, True),
        ("changed since", 0, {}, True),
        ("other photos", 3, {"root": "elsewhere"}, False),
    ],
)
def test_only_the_same_photos_cut_alike_are_above_suspicion(
    digest: str, seed: int, data: dict[str, object], suspected: bool
) -> None:
    ancestor = Provenance(data_digest=digest, config={"seed": seed, "data": DATA | data})
    assert may_have_learned(ancestor, "same", NOW) is suspected


def test_who_says_nothing_of_its_photos_is_not_suspected() -> None:
    assert not may_have_learned(Provenance(), "same", NOW)
    assert NOW.root == Path("birds")
