import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from birdedge.runtime import durable
from birdedge.runtime.durable import atomic_write, draft_of, sync_to_disk


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


@pytest.mark.parametrize(("call", "number"), [("fsync", errno.EINVAL), ("open", errno.EACCES)])
def test_a_folder_that_cannot_be_synced_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """Of a network share, or one that may be written to and not read."""
    file = tmp_path / "file"
    file.write_text("content")

    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(os, call, refuse)
    sync_to_disk(tmp_path)
    with pytest.raises(OSError, match="refused"):
        sync_to_disk(file)


@pytest.mark.parametrize("make", ["draft.write_text('half')", "draft.symlink_to('nowhere')"])
def test_the_draft_of_a_killed_process_is_overwritten_by_the_next(
    tmp_path: Path, make: str
) -> None:
    killed = f"""
import os, signal, sys
from pathlib import Path
from birdedge.runtime.durable import atomic_write
with atomic_write(Path(sys.argv[1])) as draft:
    {make}
    os.kill(os.getpid(), signal.SIGKILL)
"""
    file = tmp_path / "file"
    done = subprocess.run([sys.executable, "-c", killed, file], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == [draft_of(file)]

    with atomic_write(file) as draft:
        draft.symlink_to("somewhere")

    assert list(tmp_path.iterdir()) == [file]
    assert file.readlink() == Path("somewhere")
