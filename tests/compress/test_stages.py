"""Stages are made once, survive an interruption, and are made anew for other inputs."""

from pathlib import Path

import pytest

from birdedge.compress.stages import beside, remove_stages, stage
from birdedge.runtime.errors import BirdedgeError


class Maker:
    def __init__(self, fails: bool = False) -> None:
        self.calls: list[list[str]] = []
        self.fails = fails

    def __call__(self, folder: Path) -> dict[str, int]:
        self.calls.append(sorted(path.name for path in folder.glob("*.txt")))
        (folder / "half.txt").write_text("half")
        if self.fails:
            raise KeyboardInterrupt
        (folder / "whole.txt").write_text("whole")
        return {"calls": len(self.calls)}


def test_a_stage_is_made_once(tmp_path: Path) -> None:
    make = Maker()
    first = stage(tmp_path / "a", {"macs": 0.5}, make)
    again = stage(tmp_path / "a", {"macs": 0.5}, make)

    assert first == again == {"calls": 1}
    assert (tmp_path / "a" / "whole.txt").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_stage_of_other_inputs_is_made_anew(tmp_path: Path) -> None:
    make = Maker()
    stage(tmp_path / "a", {"macs": 0.5}, make)
    stage(tmp_path / "a", {"macs": 0.6}, make)

    assert make.calls == [[], []]


def test_an_interrupted_stage_gets_back_what_it_had(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "a", {"macs": 0.5}, Maker(fails=True))
    assert not (tmp_path / "a").exists()

    make = Maker()
    stage(tmp_path / "a", {"macs": 0.5}, make)
    assert make.calls == [["half.txt"]]


def test_an_interrupted_stage_of_other_inputs_begins_with_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "a", {"macs": 0.5}, Maker(fails=True))

    make = Maker()
    stage(tmp_path / "a", {"macs": 0.6}, make)
    assert make.calls == [[]]


def test_a_damaged_result_is_made_anew(tmp_path: Path) -> None:
    make = Maker()
    stage(tmp_path / "a", {}, make)
    (tmp_path / "a" / "result.json").write_text("{")
    stage(tmp_path / "a", {}, make)

    assert len(make.calls) == 2


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("who")])
def test_a_stage_whose_files_are_gone_or_cut_is_made_anew(tmp_path: Path, damage) -> None:
    make = Maker()
    stage(tmp_path / "a", {}, make)
    damage(tmp_path / "a" / "whole.txt")
    stage(tmp_path / "a", {}, make)

    assert len(make.calls) == 2
    assert (tmp_path / "a" / "whole.txt").read_text() == "whole"


def test_a_removal_that_was_cut_short_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(tmp_path / "work" / "a", {"macs": 0.5}, Maker())
    with monkeypatch.context() as patched:
        patched.setattr("birdedge.compress.stages.shutil.rmtree", lambda *_, **__: None)
        remove_stages(tmp_path / "work")
    assert [path.name for path in (tmp_path / "work" / "a").iterdir()] == ["inputs.json"]

    make = Maker()
    stage(tmp_path / "work" / "a", {"macs": 0.5}, make)
    assert len(make.calls) == 1
    remove_stages(tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_stages_that_are_to_stay_do(tmp_path: Path) -> None:
    stage(tmp_path / "a", {}, Maker())
    with pytest.raises(KeyboardInterrupt):
        stage(tmp_path / "b", {}, Maker(fails=True))
    remove_stages(tmp_path, but=("b",))
    assert [path.name for path in tmp_path.iterdir()] == ["b.partial"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BirdedgeError, match=r"cannot write .*file/a: Not a directory"):
        stage(tmp_path / "file" / "a", {}, Maker())


@pytest.mark.parametrize("name", ["a", "a.partial"])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine.txt").write_text("mine")
    with pytest.raises(BirdedgeError, match="is none of birdedge's"):
        stage(tmp_path / "a", {}, Maker())
    assert (tmp_path / name / "mine.txt").read_text() == "mine"


def test_stages_are_removed_and_what_somebody_else_put_there_is_not(tmp_path: Path) -> None:
    work = tmp_path / "bundle.work"
    stage(work / "a", {}, Maker())
    with pytest.raises(KeyboardInterrupt):
        stage(work / "b", {}, Maker(fails=True))
    (work / "photos").mkdir()
    (work / "photos" / "mine.txt").write_text("mine")

    remove_stages(work)
    assert [path.relative_to(work) for path in work.rglob("*.txt")] == [Path("photos/mine.txt")]
    assert [path.name for path in work.iterdir()] == ["photos"]


def test_a_folder_of_nothing_but_stages_goes_with_them(tmp_path: Path) -> None:
    stage(tmp_path / "work" / "a", {}, Maker())
    remove_stages(tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_stages_lie_beside_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bundle").mkdir()
    monkeypatch.chdir(tmp_path / "bundle")
    assert beside(Path()) == beside(tmp_path / "bundle") == tmp_path / "bundle.work"
