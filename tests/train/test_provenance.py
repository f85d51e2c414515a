"""Where a network came from is told apart by what decides it."""

import subprocess
from pathlib import Path

import pytest

from birdedge.train import provenance
from birdedge.train.provenance import git_commit


def test_changes_of_the_code_are_told_from_each_other_and_from_those_of_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=who", "-c", "user.email=who@example.org")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    module = tmp_path / "train" / "provenance.py"
    module.parent.mkdir()
    module.write_text("learned = 1\n")
    (tmp_path / "README.md").write_text("figures")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    monkeypatch.setattr(provenance, "__file__", str(module))

    clean = git_commit()
    assert len(clean) == 40
    (tmp_path / "README.md").write_text("other figures")
    assert git_commit() == clean
    module.write_text("learned = 2\n")
    second = git_commit()
    module.write_text("learned = 3\n")
    third = git_commit()
    assert second.startswith(f"{clean}+") and third.startswith(f"{clean}+")
    assert second != third
    seen = {clean, second, third}
    for epochs in (1, 2):  # a file that git does not know yet
        (tmp_path / "configs.yaml").write_text(f"epochs: {epochs}")
        seen.add(git_commit())
    assert len(seen) == 5
