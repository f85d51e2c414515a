"""`birdedge sightings`: what a birder sees and what a program gets."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from birdedge.runtime.sightings.database import read_database
from birdedge.runtime.sightings.recorder import Recorder
from birdedge.runtime.visits import Visit

Birdedge = Callable[..., subprocess.CompletedProcess[str]]
Sightings = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def store(tmp_path: Path, visit: Callable[..., Visit], minutes: Callable[..., datetime]) -> Path:
    """Two jays at once and one later, a mallard, one unknown; the next day a bunting."""
    recorder = Recorder(tmp_path / "store")
    for number, (name, start) in enumerate(
        [
            ("Blue Jay", minutes(0)),
            ("Blue Jay", minutes(0.1)),
            ("Mallard", minutes(5)),
            (None, minutes(6)),
            ("Blue Jay", minutes(30)),
            ("Indigo Bunting", minutes(24 * 60)),
        ]
    ):
        recorder.take(visit(name, start, id_=f"{number:x}" * 32))
    recorder.close()
    return tmp_path / "store"


@pytest.fixture
def sightings(birdedge: Birdedge, store: Path) -> Sightings:
    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        return birdedge(
            "sightings", *arguments, env={"BIRDEDGE_STORE": str(store), "TZ": "America/New_York"}
        )

    return call


def lines(done: subprocess.CompletedProcess[str]) -> list[dict]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_list_shows_named_birds_by_the_local_clock_the_newest_last(sightings: Sightings) -> None:
    done = sightings("list")
    heads, *rows = done.stdout.splitlines()

    assert heads.split() == ["ID", "When", "Stay", "Species", "Probability"]
    assert len(rows) == 5
    assert rows[0].split() == [
        "00000000",
        "2026-05-01",
        "02:00:00",
        "12",
        "s",
        "Blue",
        "Jay",
        "90.0%",
    ]
    assert "Indigo Bunting" in rows[-1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--unknown"], ["0", "1", "2", "3", "4", "5"]),
        (["--limit", 2], ["4", "5"]),
        (["--species", "JAY"], ["0", "1", "4"]),
        (["--species", "anas pl"], ["2"]),
        (["--since", "2026-05-02"], ["5"]),
        (["--until", "2026-05-01 02:05:00"], ["0", "1"]),
        (["--since", "2030-01-01"], []),
    ],
)
def test_list_finds_what_is_asked_for(
    sightings: Sightings, options: list[object], expected: list[str]
) -> None:
    found = lines(sightings("list", "--json", *options))

    assert [sighting["id"][0] for sighting in found] == expected


def test_show_tells_all_of_one(sightings: Sightings, store: Path) -> None:
    done = sightings("show", "2222")

    told = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    told = {key: value.strip() for key, value in told.items()}
    assert told["what"] == "Mallard"
    assert told["or else"] == "Blue Jay 7.0%, Indigo Bunting 3.0%"
    assert told["came"] == "2026-05-01 02:05:00"
    assert Path(told["picture"]).is_file()
    assert Path(told["picture"]).is_relative_to(store)


def test_relabel_keeps_what_the_model_said_beside_it(sightings: Sightings) -> None:
    assert sightings("relabel", "2222", "blue jay").stderr == "22222222: Blue Jay\n"
    (corrected,) = lines(sightings("show", "2222", "--json"))
    assert (corrected["common_name"], corrected["ebird_code"]) == ("Blue Jay", "blujay")
    assert corrected["model"]["common_name"] == "Mallard"
    assert "corrected" in sightings("list", "--species", "jay").stdout

    assert sightings("relabel", "1111", "Curruca curruca (Ärtsångare)").returncode == 0
    assert "Ärtsångare" in sightings("list", "--species", "äRTSÅ").stdout
    assert sightings("relabel", "2222", "Turdus merula (Eurasian Blackbird)").returncode == 0
    assert sightings("relabel", "3333", "--no-bird").stderr == "33333333: no bird\n"
    assert "Eurasian Blackbird" in sightings("list").stdout

    assert sightings("relabel", "2222", "--undo").stderr == "22222222: Mallard\n"
    (restored,) = lines(sightings("show", "2222", "--json"))
    assert restored["corrected_at"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["show", "99999"], 1, "there is no sighting 99999"),
        (["show", "2"], 1, "at least 4 digits"),
        (["show", "%%%%"], 1, "is no sighting"),
        (["show"], 2, "Missing argument"),
        (["relabel", "2222"], 2, "give a SPECIES"),
        (["relabel", "2222", "jay", "--no-bird"], 2, "give a SPECIES"),
        (["relabel", "2222", "bleu jay"], 1, "did you mean Blue Jay?"),
        (["relabel", "2222", "Pica pica (\x1b[2J)"], 1, "cannot be printed"),
        (["relabel", "2222", "'; DROP TABLE sightings"], 1, "name another bird in full"),
        (["export", "--format", "xml"], 1, "there are camtrap-dp, csv, ebird, json"),
        (["export", "--format", "ebird"], 1, "--country"),
        (["export", "--latitude", "91"], 2, "--latitude"),
        (["list", "--since", "yesterday"], 2, "--since"),
        (["list", "--store", "nowhere"], 1, "no sightings are kept in nowhere"),
    ],
)
def test_what_is_wrong_is_one_line(
    sightings: Sightings, arguments: list[str], code: int, told: str
) -> None:
    done = sightings(*arguments)

    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    if code == 1:
        assert len(done.stderr.splitlines()) == 1


def test_favourites_are_marked(sightings: Sightings) -> None:
    sightings("favourite", "0000")
    assert [s["favourite"] for s in lines(sightings("list", "--json"))][:2] == [True, False]
    sightings("favourite", "0000", "--undo")
    assert not any(s["favourite"] for s in lines(sightings("list", "--json")))


def test_stats_count_by_species(sightings: Sightings) -> None:
    sightings("relabel", "3333", "--no-bird")
    counts = lines(sightings("stats", "--json"))

    assert [(count["common_name"], count["visits"], count["days"]) for count in counts] == [
        ("Blue Jay", 3, 1), ("Mallard", 1, 1), ("Indigo Bunting", 1, 1)
    ]  # fmt: skip
    assert counts[0]["seconds"] == 36
    assert "Blue Jay" in sightings("stats").stdout


def test_csv_is_a_table(sightings: Sightings, tmp_path: Path) -> None:
    assert sightings("export", "--unknown", "--out", tmp_path / "birds.csv").returncode == 0
    with (tmp_path / "birds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert [row["common_name"] for row in rows][:4] == ["Blue Jay", "Blue Jay", "Mallard", ""]
    assert rows[2]["model_probability"] == "0.9"
    assert rows[0]["start"] == "2026-05-01T06:00:00+00:00"


def test_json_is_what_list_gives(sightings: Sightings) -> None:
    exported = lines(sightings("export", "--format", "json"))

    assert exported == lines(sightings("list", "--json"))


def test_ebird_gets_a_checklist_a_day(sightings: Sightings) -> None:
    place = ["--location", "My garden", "--latitude", 42.5, "--longitude", -76.25]
    done = sightings("export", "--format", "ebird", *place, "--country", "US", "--state", "NY")
    rows = list(csv.reader(done.stdout.splitlines()))

    assert all(len(row) == 19 for row in rows)
    assert rows[0][:4] == ["Blue Jay", "Cyanocitta", "cristata", "2"]
    assert rows[0][5:13] == [
        "My garden", "42.50000", "-76.25000", "05/01/2026", "02:00", "NY", "US", "Incidental"
    ]  # fmt: skip
    assert rows[0][15] == "N"
    assert [(row[0], row[8]) for row in rows[1:]] == [
        ("Mallard", "05/01/2026"), ("Indigo Bunting", "05/02/2026")
    ]  # fmt: skip
    assert {row[18] for row in rows} == {"birdedge, garden"}


def test_what_is_there_is_not_overwritten_unasked(sightings: Sightings, tmp_path: Path) -> None:
    out = tmp_path / "birds.csv"
    out.write_text("mine")
    assert sightings("export", "--out", out).returncode == 1
    assert out.read_text() == "mine"
    assert sightings("export", "--out", out, "--force").returncode == 0
    assert out.read_text().startswith("id,start,end")
    assert not list(tmp_path.glob(".birdedge-*"))


def test_an_export_that_nobody_reads_to_its_end_is_cut_off_quietly(
    store: Path, environment: dict[str, str]
) -> None:
    """As by `head`: more than a pipe holds."""
    with read_database(store) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(sightings)")]
        others = ", ".join(columns[1:])
        for number in range(1000):
            connection.execute(
                f"INSERT INTO sightings SELECT 'more-{number}', {others} "
                "FROM sightings WHERE id = (SELECT MIN(id) FROM sightings)"
            )
    process = subprocess.Popen(
        [sys.executable, "-m", "birdedge", "sightings", "export"],
        env=environment | {"BIRDEDGE_STORE": str(store)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().startswith("id,start,end")
    process.stdout.close()
    told = process.stderr.read()

    assert "Traceback" not in told and "temporary file" not in told
    assert process.wait(timeout=20) in (0, 1)


def test_a_day_that_no_other_time_zone_has_is_wrong_usage(birdedge: Birdedge, store: Path) -> None:
    tokyo = {"BIRDEDGE_STORE": str(store), "TZ": "Asia/Tokyo"}
    done = birdedge("sightings", "list", "--since", "0001-01-01", env=tokyo)

    assert done.returncode == 2
    assert "cannot be said in another time zone" in done.stderr


def test_an_export_that_fails_leaves_nothing(sightings: Sightings, tmp_path: Path) -> None:
    done = sightings("export", "--format", "ebird", "--out", tmp_path / "list.csv")

    assert done.returncode == 1
    assert not (tmp_path / "list.csv").exists()
    assert sightings("export", "--out", tmp_path / "no" / "birds.csv").returncode == 1


def test_timedelta_of_a_stay_is_that_of_the_visit(sightings: Sightings) -> None:
    first = lines(sightings("list", "--json"))[0]
    stay = datetime.fromisoformat(first["end"]) - datetime.fromisoformat(first["start"])

    assert stay == timedelta(seconds=12)


def test_a_folder_of_other_things_is_never_replaced(sightings: Sightings, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "mine.jpg").write_text("mine")
    place = ["--latitude", 42, "--longitude", 7]
    for options in ([], ["--format", "camtrap-dp", *place]):
        done = sightings("export", *options, "--out", folder, "--force")
        assert done.returncode == 1
        assert "a folder of other things" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["mine.jpg"]

    package = ["export", "--format", "camtrap-dp", *place, "--out", tmp_path / "package"]
    assert sightings(*package).returncode == 0
    assert sightings(*package).returncode == 1
    assert sightings(*package, "--force").returncode == 0
