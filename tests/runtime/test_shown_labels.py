"""Labels of one's own change what is shown, and nothing of what a model means."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.classifier import Classifier
from birdedge.runtime.errors import BundleError
from birdedge.runtime.labels import Label
from birdedge.runtime.load import load_classifier

Load = Callable[..., Classifier]

ORIOLES = {"family": "Icteridae (blackbird or oriole)"}
BALTIMORE, ORCHARD = (
    {"scientific_name": "Icterus galbula", "common_name": "Baltimore Oriole",
     "ebird_code": "balori", "dataset_class": "095.Baltimore_Oriole", **ORIOLES},
    {"scientific_name": "Icterus spurius", "common_name": "Orchard Oriole",
     "ebird_code": "orcori", "dataset_class": "096.Orchard_Oriole", **ORIOLES},
)  # fmt: skip
BLACKBIRD = {
    "scientific_name": "Agelaius phoeniceus", "common_name": "Red-winged Blackbird", **ORIOLES,
}  # fmt: skip
BACKGROUND = {"scientific_name": "background"}


@pytest.fixture
def load(bundle: ModelBundle, edit: Callable[..., ModelBundle], tmp_path: Path) -> Load:
    """A classifier whose three classes are called otherwise: red, green and blue ones."""

    def make(
        own: Sequence[dict[str, str]], *lines: str, species: str = "", threshold: float = 0.7
    ) -> Classifier:
        folder = edit(bundle, labels=own).folder
        labels, list_ = tmp_path / "own.txt", tmp_path / "species.csv"
        labels.write_text("\n".join(lines) + "\n", encoding="utf-8")
        list_.write_text(species, encoding="utf-8")
        return load_classifier(
            folder, labels, threads=1, threshold=threshold, species=list_ if species else None
        )

    return make


def test_translated_names_keep_all_else(load: Load) -> None:
    classifier = load(
        [BALTIMORE, ORCHARD, BLACKBIRD],
        "Icterus galbula (Baltimoretrupial)",
        "Gartentrupial",
        "Agelaius phoeniceus",
    )

    assert [label.name for label in classifier.bundle.manifest.labels] == [
        "Baltimoretrupial", "Gartentrupial", "Agelaius phoeniceus",
    ]  # fmt: skip
    for label, own in zip(
        classifier.bundle.manifest.labels, (BALTIMORE, ORCHARD, BLACKBIRD), strict=True
    ):
        names = {"common_name": label.common_name, "genus": label.genus}
        assert label == Label(**own).model_copy(update=names)


@pytest.mark.parametrize("lines", [
    ("Baltimoretrupial", "Gartentrupial", "Rotschulterstärling"),
    # The last word of both is no name of a bird.
    ("Turpial de Baltimore", "Turpial de Baltimore", "Tordo"),
    ("Icterus galbula (A)", "Icterus spurius (B)", "Agelaius phoeniceus (C)"),
    ("Pendulinus galbula (Baltimore)", "Bananivorus spurius (Orchard)", "Agelaius niger (Red)"),
])  # fmt: skip
def test_genus_and_family_are_the_same_answer(load: Load, lines: Sequence[str]) -> None:
    classifier = load([BALTIMORE, ORCHARD, BLACKBIRD], *lines)

    # As much red as green is one of two orioles, and grey any of three.
    for color, answer in ((208, 208, 16), "oriole sp."), ((99, 99, 99), "blackbird or oriole sp."):
        assert classifier.classify(Image.new("RGB", (32, 32), color)).name == answer


def test_a_bird_that_was_renamed_has_both_its_new_names(load: Load) -> None:
    classifier = load(
        [BALTIMORE, ORCHARD, BLACKBIRD],
        "Pendulinus galbula (Golden Robin)", "Icterus spurius (Orchard Oriole)", "Blackbird",
    )  # fmt: skip

    label = classifier.bundle.manifest.labels[0]
    assert str(label) == "Pendulinus galbula (Golden Robin)"
    assert (label.ebird_code, label.dataset_class) == ("balori", "095.Baltimore_Oriole")


def test_the_background_stays_it_and_can_be_said_where_it_was_not(load: Load) -> None:
    classifier = load([BALTIMORE, ORCHARD, BACKGROUND], "A", "background", "kein Vogel")

    labels = classifier.bundle.manifest.labels
    assert [label.is_background for label in labels] == [False, True, True]
    assert [label.name for label in labels] == ["A", "background", "kein Vogel"]
    same = load([BALTIMORE, ORCHARD, BACKGROUND], "A", "B", "background")
    assert same.bundle.manifest.labels[2] == Label(**BACKGROUND)


@pytest.mark.parametrize("name", ["Baltimoretrupial", "baltimore oriole", "balori"])
def test_a_list_of_species_may_have_names_of_either(load: Load, name: str) -> None:
    lines = ("Baltimoretrupial", "Gartentrupial", "Rotschulterstärling")
    classifier = load([BALTIMORE, ORCHARD, BLACKBIRD], *lines, species=f"{name}\n")

    assert classifier.classify(Image.new("RGB", (32, 32), "red")).name == lines[0]
    assert classifier.classify(Image.new("RGB", (32, 32), "blue")).name == "unknown"


def test_a_line_too_many_says_what_to_write(load: Load) -> None:
    with pytest.raises(BundleError, match=r"has 2 lines, .* 3 classes; write one line a class"):
        load([BALTIMORE, ORCHARD, BLACKBIRD], "A", "B")
