"""The benchmark of linear probes judges each photo by a probe that did not learn from it."""

import re
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from birdedge.benchmarks.probes import main
from birdedge.train.checkpoint import save_checkpoint


def test_every_kind_of_probe_is_a_row_of_the_table(trained, tmp_path: Path, capsys) -> None:
    checkpoint = _begun_with(trained, trained.path, tmp_path)

    main(checkpoint, views=2, weight_decays=[0.03, 0.3], folds=3)

    table, _, _ = capsys.readouterr().out.rpartition("\n\n")
    first, _, heads, _, *rows = table.splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert first == "42 photos, 3 folds (seed 0)"
    assert heads == "| fitted on | towards | weight decay | wrong | not in first two | log loss |"
    assert [row[:3] for row in cells] == [
        [fitted_on, towards, weight_decay]
        for fitted_on in ("a photo, its mirror image", "a photo, 2 random views")
        for towards in ("0", "3 known species")
        for weight_decay in ("0.03", "0.3")
    ]
    # Shapes of three colours, which three probes of a third of them each tell apart.
    assert all(int(row[4]) <= int(row[3]) <= 4 and 0 < float(row[5]) < 0.7 for row in cells)


def test_nothing_is_judged_by_what_learned_from_it(trained, tmp_path: Path, capsys) -> None:
    noise = np.random.default_rng(0)
    for label in trained.info.labels:
        folder = tmp_path / "noise" / "train" / label.dataset_class
        folder.mkdir(parents=True)
        for number in range(12):
            pixels = noise.integers(256, size=(64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:02}.png")
    checkpoint = _begun_with(trained, trained.path, tmp_path, root=str(tmp_path / "noise"))

    main(checkpoint, views=0, folds=3)

    table, _, rest = capsys.readouterr().out.rpartition("\n\n")
    first, *_, towards_nothing, towards_known = table.splitlines()
    # There are more features than photos: a probe names all noise right that it has learned by
    # heart, and of other noise a third.
    assert first.startswith("24 photos")
    wrong = [int(row.split("|")[4]) for row in (towards_nothing, towards_known)]
    assert wrong[0] > 8
    said = re.fullmatch(
        r"(\d+) photos are named wrong by some probe, (\d+) by all:", rest.splitlines()[0]
    )
    by_some, by_all = int(said[1]), int(said[2])
    assert by_all <= min(wrong) <= max(wrong) <= by_some <= sum(wrong)
    # Every mistake of all is of a pair, and three species make three of them.
    pairs = rest.splitlines()[1:]
    assert sum(int(pair.split()[1]) for pair in pairs) == by_all > 0
    assert all(" / " in pair for pair in pairs)


def test_a_network_that_began_with_no_weights_is_refused(trained, tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="began with no weights of a file"):
        main(_begun_with(trained, None, tmp_path))


def _begun_with(trained, weights: Path | None, folder: Path, **data: str) -> Path:
    """The checkpoint, as if its training had begun with these weights."""
    config = trained.info.provenance.config
    model = {**config["model"], "init_from": weights and str(weights)}
    config = {**config, "model": model, "augment": {}, "data": {**config["data"], **data}}
    provenance = trained.info.provenance.model_copy(update={"config": config})
    path = folder / "begun.safetensors"
    save_checkpoint(
        path, trained.network, trained.info.model_copy(update={"provenance": provenance})
    )
    return path
