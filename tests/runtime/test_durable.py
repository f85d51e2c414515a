import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from birdedge.runtime import durable
from birdedge.runtime.durable import atomic_write, remove_drafts, sync_to_disk


def test_a_file_is_replaced_when_all_is_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with atomic_write(file) as draft:
        assert draft.parent == tmp_path and draft.name.startswith(".") and not draft.exists()
        draft.write_text("new")
        assert file.read_text() == "old"

    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("end", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path, end: type[BaseException]) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(end), atomic_write(file, to_disk=True) as draft:
        draft.write_text("half")
        raise end

    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_two_writers_do_not_write_into_each_others_draft(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with atomic_write(file) as one, atomic_write(file) as other:
        one.write_text("one")
        other.write_text("other")

    assert file.read_text() == "one"


def test_content_is_on_the_card_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    seen = []

    def watched(path: Path) -> None:
        seen.append((path, file.exists()))
        sync_to_disk(path)

    monkeypatch.setattr(durable, "sync_to_disk", watched)
    with atomic_write(file, to_disk=True) as draft:
        draft.write_text("new")

    assert seen == [(draft, False), (tmp_path, True)]


def test_a_file_system_that_cannot_sync_folders_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("content")

    def refuse(_: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    sync_to_disk(tmp_path)
    with pytest.raises(OSError, match="Invalid"):
        sync_to_disk(file)


def test_the_draft_of_a_killed_process_is_removed_a_day_later(tmp_path: Path) -> None:
    killed = """
import os, signal, sys
from pathlib import Path
from birdedge.runtime.durable import atomic_write
with atomic_write(Path(sys.argv[1])) as draft:
    draft.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", killed, tmp_path / "file"], check=False)
    assert done.returncode == -signal.SIGKILL
    (draft,) = tmp_path.iterdir()
    not_ours = tmp_path / ".new-years-eve"
    not_ours.write_text("a list of guests")

    remove_drafts(tmp_path)
    assert draft.exists()
    for path in (draft, not_ours):
        os.utime(path, (time.time() - 2 * 86_400,) * 2)
    remove_drafts(tmp_path)

    assert list(tmp_path.iterdir()) == [not_ours]
