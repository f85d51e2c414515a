"""Answers as narrow as is sure: a species, a genus, a family, or unknown."""

import numpy as np
import pytest

from birdedge.runtime.labels import Label
from birdedge.runtime.manifest import FileEntry, Manifest, OpenSet, Target
from birdedge.runtime.predictions import energy, max_logit, predict
from birdedge.runtime.taxa import wider_taxa

LABELS = tuple(
    Label(scientific_name=scientific, common_name=common, family=family)
    for scientific, common, family in [
        ("Icterus galbula", "Baltimore Oriole", "Icteridae (blackbird or oriole)"),
        ("Icterus spurius", "Orchard Oriole", "Icteridae (blackbird or oriole)"),
        ("Agelaius phoeniceus", "Red-winged Blackbird", "Icteridae (blackbird or oriole)"),
        ("Setophaga ruticilla", "American Redstart", "Parulidae (warbler)"),
        ("Setophaga tigrina", "Cape May Warbler", "Parulidae (warbler)"),
        ("Gavia pacifica", "Pacific Loon", "Gaviidae (loon)"),
        ("background", "", None),
    ]
)


@pytest.fixture
def manifest() -> Manifest:
    file = FileEntry(name="m.onnx", sha256="0" * 64, bytes=1)
    target = Target(engine="onnx", files=(file,), golden_tolerance=1.0)
    return Manifest.model_validate(
        {
            "id": "m", "created": "2026-01-01T00:00:00Z", "labels": LABELS, "golden": file,
            "preprocess": {}, "targets": {"onnx-fp32": target},
        }
    )  # fmt: skip


def logits(*probabilities: float) -> np.ndarray:
    rest = (1 - sum(probabilities)) / (len(LABELS) - len(probabilities))
    padded = [*probabilities, *[rest] * (len(LABELS) - len(probabilities))]
    return np.log(np.asarray(padded, np.float32))


@pytest.mark.parametrize(
    ("probabilities", "name", "scientific", "probability"),
    [
        ((0.9,), "Baltimore Oriole", "Icterus galbula", 0.9),
        ((0.45, 0.45), "oriole sp.", "Icterus sp.", 0.9),
        ((0.3, 0.25, 0.35), "blackbird or oriole sp.", "Icteridae sp.", 0.9),
        ((0.01, 0.01, 0.01, 0.46, 0.46), "Setophaga sp.", "Setophaga sp.", 0.92),
    ],
    ids=["species", "genus", "family", "a genus without an English name"],
)
def test_the_narrowest_taxon_that_is_sure_is_the_answer(
    manifest: Manifest,
    probabilities: tuple[float, ...],
    name: str,
    scientific: str,
    probability: float,
) -> None:
    prediction = predict(logits(*probabilities), manifest, threshold=0.6)

    assert prediction.name == name
    assert prediction.answer is not None
    assert prediction.answer.label.scientific_name == scientific
    assert prediction.answer.probability == pytest.approx(probability, abs=1e-4)
    assert prediction.probability == prediction.answer.probability
    assert (prediction.species is None) == (" sp." in name)


def test_a_taxon_is_as_probable_as_its_species_together(manifest: Manifest) -> None:
    seen = predict(logits(0.5, 0.3, 0.1), manifest, threshold=0.6)
    genera, families = wider_taxa(LABELS)

    assert seen.probability_of(LABELS[1]) == pytest.approx(0.3)
    assert seen.probability_of(genera["Icterus galbula"]) == pytest.approx(0.8)
    assert seen.probability_of(families["Icterus galbula"]) == pytest.approx(0.9)
    assert seen.probability_of(Label(scientific_name="Turdus sp.")) == 0
    nothing = predict(logits(*(0.02,) * 6), manifest, threshold=0.6)
    assert nothing.probability_of(LABELS[1]) == 0


@pytest.mark.parametrize(
    "probabilities",
    [(0.3, 0.02, 0.02, 0.3), (0.02, 0.02, 0.02, 0.02, 0.02, 0.55), (0.1,) * 6],
    ids=["two families", "the only one of its family", "no bird"],
)
def test_where_no_taxon_is_sure_it_is_unknown(
    manifest: Manifest, probabilities: tuple[float, ...]
) -> None:
    prediction = predict(logits(*probabilities), manifest, threshold=0.6)

    assert (prediction.answer, prediction.species, prediction.name) == (None, None, "unknown")


@pytest.mark.parametrize(("score", "threshold"), [("energy", 3.0), ("max_logit", 2.9)])
def test_what_resembles_nothing_that_was_learned_is_unknown_however_sure(
    manifest: Manifest, score: str, threshold: float
) -> None:
    """The softmax forgets how high logits are; the open-set score does not."""
    open_set = OpenSet.model_validate({"score": score, "threshold": threshold, "rejected": 0.05})
    careful = manifest.model_copy(update={"open_set": open_set})
    familiar = np.asarray([4.0, -2, -2, -2, -2, -2, -2], np.float32)

    assert predict(familiar, careful, 0.6).name == "Baltimore Oriole"
    assert predict(familiar - 2.0, careful, 0.6).name == "unknown"
    assert predict(familiar - 2.0, manifest, 0.6).name == "Baltimore Oriole"


def test_scores_are_what_their_papers_say() -> None:
    values = np.asarray([[1.0, 2.0, 3.0], [1000.0, 0.0, 0.0]], np.float32)

    np.testing.assert_allclose(energy(values), [np.log(np.exp([1, 2, 3]).sum()), 1000.0])
    np.testing.assert_allclose(max_logit(values), [3.0, 1000.0])


def test_common_species_are_likelier_by_bayes_rule(manifest: Manifest) -> None:
    even = logits(0.48, 0.48)
    weights = np.asarray([1.0, 0.1, 1, 1, 1, 1, 1], np.float32)
    prediction = predict(even, manifest, 0.6, weights)

    assert prediction.name == "Baltimore Oriole"
    assert prediction.probability == pytest.approx(0.48 / (0.48 + 0.048 + 0.04), abs=1e-3)


def test_a_species_that_does_not_occur_is_unknown_and_not_the_next_best(
    manifest: Manifest,
) -> None:
    weights = np.asarray([0, 1, 1, 1, 1, 1, 1], np.float32)

    assert predict(logits(0.9), manifest, 0.6, weights).name == "unknown"
    assert predict(logits(0.2, 0.7), manifest, 0.6, weights).name == "Orchard Oriole"


def test_names_of_folders_have_no_genus() -> None:
    names = ["House Finch", "House Sparrow", "Black footed Albatross", "Black capped Vireo", ""]
    folders = tuple(Label(scientific_name=name, common_name="") for name in names)
    species = tuple(Label(scientific_name=f"Corvus {name}", common_name="") for name in "ab")

    genera, _ = wider_taxa(folders + species)

    assert list(genera) == ["Corvus a", "Corvus b"]
