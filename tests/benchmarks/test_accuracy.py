"""Real answers of real processes to drawn photos, and figures that can be reckoned by hand."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image

from birdedge.benchmarks.accuracy import Answers, answers_of, mcnemar, score
from birdedge.benchmarks.answers import Examination
from birdedge.benchmarks.contenders import Contender
from birdedge.benchmarks.lineup import contenders_of, one_of_each
from birdedge.benchmarks.photos import counterparts, read_photos, truth
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import DataError, ImageError
from birdedge.runtime.labels import Label


def ask(bundle: ModelBundle, folder: Path, work: Path, **options: object):
    contenders = list(one_of_each(contenders_of([bundle.folder], None, [2], [1])))
    change = options.pop("change", None)
    settings = {"timeout": 20, "tell": lambda text: None, "stop": Event()} | options
    manifests = {bundle.manifest.id: bundle.manifest}
    return Examination(contenders, manifests, work, **settings).ask(read_photos(folder), change)


def test_photos_are_answered_as_the_device_answers_them(
    bundle: ModelBundle, photos: Path, tmp_path: Path
) -> None:
    ((key, logits),) = ask(bundle, photos, tmp_path).items()
    answers = answers_of(bundle.manifest, logits, read_photos(photos), bundle.manifest)
    figures = score(answers, None)

    assert key == (bundle.manifest.id, "onnx-fp32")
    assert figures is not None
    assert figures.photos == 36
    assert figures.top1.value == 35 / 36
    assert figures.top1.low < 35 / 36 < figures.top1.high < 1
    assert figures.top5.value == 1
    assert figures.macro_recall == pytest.approx((1 + 1 + 11 / 12) / 3)
    # Folders in the order of their names; the first of the last species shows another bird.
    assert figures.right == "1" * 12 + "0" + "1" * 23
    assert figures.agreement is None


def test_what_is_worse_is_known_and_by_how_much_that_can_be_chance(bundle: ModelBundle) -> None:
    truth_ = np.arange(60) % 3
    good = np.eye(3, dtype=np.float32)[truth_] * 8
    bad = good.copy()
    bad[:10] = np.roll(bad[:10], 1, axis=1)
    reference = Answers(bundle.manifest, good, truth_)
    worse = score(Answers(bundle.manifest, bad, truth_), reference)

    assert worse is not None and worse.agreement is not None
    assert (worse.gained, worse.lost) == (0, 10)
    assert worse.mcnemar == pytest.approx(2 / 2**10)
    assert worse.agreement.value == 50 / 60


def test_mcnemar_is_exact() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    # Two sides of a binomial with eight of ten: (1 + 10 + 45) * 2 / 1024.
    assert mcnemar(8, 2) == pytest.approx(112 / 1024)


def test_models_with_other_species_are_compared_on_those_that_both_know(
    make_bundle: Callable[..., ModelBundle], bundle: ModelBundle
) -> None:
    other = make_bundle(
        names=(
            "Passerina cyanea (Indigo Bunting)",
            "Corvus corax (Raven)",
            "Cardinalis cardinalis (Northern Cardinal)",
        )
    )
    species = ("Northern_Cardinal", "Calliope_Hummingbird", "Indigo_Bunting")
    photos = type("P", (), {"species": species})
    ours = answers_of(bundle.manifest, np.eye(3, dtype=np.float32), photos, bundle.manifest)
    theirs = answers_of(
        other.manifest, np.eye(3, dtype=np.float32)[[2, 1, 1]], photos, bundle.manifest
    )
    figures = score(theirs, ours)

    assert ours.truth.tolist() == [0, 1, 2]
    assert theirs.truth.tolist() == [2, -1, 0]
    assert figures is not None and figures.agreement is not None
    assert figures.photos == 2
    assert figures.right == "1-0"
    assert figures.agreement.value == 0.5


def test_strangers_are_told_apart_by_rank(bundle: ModelBundle) -> None:
    known = np.float32([[9, 0, 0], [0, 8, 0], [0, 0, 7]])
    strange = np.float32([[1, 0, 0], [0, 7.5, 0]])
    figures = score(Answers(bundle.manifest, known, np.arange(3)), None, strange)

    # Five of six pairs are in order.
    assert figures is not None and figures.auroc == pytest.approx(5 / 6)


def test_a_target_that_crashes_says_so_and_the_others_answer(
    with_engines: Callable[..., ModelBundle], photos: Path, tmp_path: Path
) -> None:
    bundle = with_engines("crashes", "onnx")
    crashed, answered = ask(bundle, photos, tmp_path).values()

    assert isinstance(crashed, str) and crashed.startswith("killed by signal 6")
    assert isinstance(answered, np.ndarray) and answered.shape == (36, 3)


def test_progress_is_told_and_a_stop_is_heard(
    bundle: ModelBundle, photos: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    stop = Event()
    ask(bundle, photos, tmp_path, tell=told.append)
    stop.set()
    (never,) = ask(bundle, photos, tmp_path, stop=stop).values()

    assert told == ["decoding 36 photos", *(f"onnx-fp32: {n} of 36" for n in (16, 32, 36))]
    assert never == "interrupted"


def test_a_stop_is_heard_while_photos_are_answered(
    bundle: ModelBundle, photos: Path, tmp_path: Path
) -> None:
    stop = Event()

    def tell(text: str) -> None:
        if "16 of 36" in text:
            stop.set()

    (stopped,) = ask(bundle, photos, tmp_path, tell=tell, stop=stop).values()

    assert stopped == "interrupted"


def test_a_background_is_no_name(make_bundle: Callable[..., ModelBundle]) -> None:
    bundle = make_bundle(names=("Cardinalis cardinalis", "Passerina cyanea", "background"))
    logits = np.float32([[9, 0, 0], [0, 0, 9]])
    figures = score(Answers(bundle.manifest, logits, np.array([0, 1])), None)

    assert figures is not None
    assert (figures.named, figures.right_of_named) == (0.5, 1.0)


def test_a_change_is_made_before_photos_are_fitted(
    bundle: ModelBundle, photos: Path, tmp_path: Path
) -> None:
    def all_green(image: Image.Image) -> Image.Image:
        return Image.new("RGB", image.size, "#10d010")

    (logits,) = ask(bundle, photos, tmp_path, change=all_green).values()

    assert isinstance(logits, np.ndarray)
    assert (logits.argmax(axis=1) == 1).all()


def test_a_photo_that_cannot_be_read_is_told_at_once(
    bundle: ModelBundle, photos: Path, tmp_path: Path
) -> None:
    (photos / "Indigo_Bunting" / "99.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"99\.png: not a picture"):
        read_photos(photos).check()
    with pytest.raises(ImageError, match=r"99\.png: not a picture"):
        ask(bundle, photos, tmp_path)


def test_a_set_of_photos_is_told_by_its_names_and_sizes(photos: Path) -> None:
    before = read_photos(photos).digest()
    assert read_photos(photos).digest() == before
    Image.new("RGB", (90, 90), "red").save(photos / "Indigo_Bunting" / "00.png")

    assert read_photos(photos).digest() != before


def test_folders_are_read_sorted_by_species_or_not_and_hidden_ones_are_passed_over(
    photos: Path, tmp_path: Path
) -> None:
    photo = (photos / "Indigo_Bunting" / "00.png").read_bytes()
    for name in (".ipynb_checkpoints/00.png", "Indigo_Bunting/._00.png"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(photo)
    found = read_photos(photos)
    alone = read_photos(photos / "Indigo_Bunting")
    data_set = tmp_path / "data"
    data_set.mkdir()
    (data_set / "test").symlink_to(photos)

    assert len(found.paths) == 36
    assert found.species[0] == "Calliope_Hummingbird"
    assert alone.species == () and len(alone.paths) == 12
    assert len(read_photos(data_set).paths) == 36
    assert found.some(6).species == tuple(sorted(found.some(6).species))
    assert len(set(found.some(6).species)) == 3
    assert found.some(100) is found
    (tmp_path / "empty").mkdir()
    for folder, told in ((tmp_path / "empty", "holds no photos"), (tmp_path / "no", "no such")):
        with pytest.raises(DataError, match=told):
            read_photos(folder)


def test_folders_are_named_as_people_name_birds() -> None:
    labels = [
        Label(scientific_name="Setophaga ruticilla", common_name="American Redstart"),
        Label(scientific_name="background"),
        Label(scientific_name="Icteria virens", common_name="Yellow-breasted Chat"),
    ]
    first = [Label(scientific_name="Setophaga ruticilla", dataset_class="Redstart_of_America")]

    assert truth(["American_Redstart", "Yellow_breasted_Chat", "Emu"], labels, []) == [0, 2, -1]
    assert truth(["setophaga ruticilla", "background"], labels, []) == [0, -1]
    assert truth(["Redstart_of_America"], labels, []) == [-1]
    assert truth(["Redstart_of_America"], labels, first) == [0]
    assert counterparts(labels, first) == [0, -1, -1]


def test_one_of_each_target_answers_whatever_the_threads(bundle: ModelBundle) -> None:
    contenders = contenders_of([bundle.folder], None, [1, 2], [1, 4])

    assert len(contenders) == 4
    assert [type(one) for one in one_of_each(contenders)] == [Contender]
