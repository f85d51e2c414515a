"""`birdedge models list`: the bundle inside, those around, and what is wrong with one."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from birdedge.runtime.default import DEFAULT_MODEL
from birdedge.runtime.models_commands import models


@pytest.fixture
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(DEFAULT_MODEL, tmp_path / "garden")
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_bundles_here_and_the_one_inside_are_listed(around: Path) -> None:
    result = CliRunner().invoke(models, ["list", "--json"])

    assert result.exit_code == 0
    inside, garden = [json.loads(line) for line in result.stdout.splitlines()]
    assert inside["folder"] == str(DEFAULT_MODEL)
    assert inside["in_use"]
    assert garden == inside | {"folder": "garden", "in_use": False}
    assert garden["species"] == 100
    assert garden["top1"] == pytest.approx(0.968, abs=0.002)


def test_a_folder_that_is_a_bundle_is_listed_once(around: Path) -> None:
    result = CliRunner().invoke(models, ["list", "--json", "garden", ".", str(DEFAULT_MODEL)])
    assert len(result.stdout.splitlines()) == 2


def test_a_damaged_bundle_is_one_line_and_hides_no_other(around: Path) -> None:
    (around / "garden" / "manifest.json").write_text("{")
    result = CliRunner().invoke(models, ["list"])

    assert result.exit_code == 1
    assert "manifest.json" in result.stderr and len(result.stderr.splitlines()) == 1
    assert "mobilenetv2_100" in result.stdout


def test_a_folder_that_is_not_there_is_named(around: Path) -> None:
    result = CliRunner().invoke(models, ["list", "nowhere"])
    assert "cannot look into nowhere: No such file" in str(result.exception)
