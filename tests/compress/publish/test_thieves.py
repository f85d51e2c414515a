"""What somebody changes who can write to a repository and has no key: nothing of it is signed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from publisher import Publisher, release_of

from birdedge.compress.publish.publish import withdraw
from birdedge.compress.publish.storage import PublishError
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.sync.release import Channel


class Thief:
    """Somebody with the bucket's credentials and no key; what he saw, he can put back."""

    def __init__(self, publisher: Publisher) -> None:
        self._folder = publisher.folder
        self._seen = publisher.folder.with_name("seen")
        shutil.copytree(self._folder, self._seen)

    def puts_back(self, pattern: str) -> None:
        for path in self._seen.rglob(pattern):
            shutil.copy(path, self._folder / path.relative_to(self._seen))

    def puts_all_back(self) -> None:
        shutil.rmtree(self._folder)
        shutil.copytree(self._seen, self._folder)


def test_a_release_that_a_thief_slipped_into_a_channel_is_not_signed(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    publisher.publish(version("garden-1"))
    (path,) = publisher.folder.rglob("*.channel.json")
    evil = release_of(version("evil"))
    path.write_text(Channel(releases=(evil,)).model_dump_json())

    with pytest.raises(PublishError, match="is not what was signed: somebody changed it"):
        publisher.publish(version("garden-2"))


def test_a_manifest_that_a_thief_changed_is_not_signed(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    publisher.publish(version("garden-1"))
    (path,) = publisher.folder.rglob("*.manifest.json")
    path.write_text(path.read_text().replace("garden-1", "garden-X"))

    with pytest.raises(PublishError, match="is not what was signed: somebody changed it"):
        publisher.publish(version("garden-2"))


def test_a_file_that_a_thief_planted_is_written_over(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    bundle = version("garden-1")
    publisher.publish(bundle)
    (path,) = publisher.folder.rglob("*.onnx")
    path.write_bytes(b"planted")
    publisher.publish(bundle, percent=50)

    assert path.stat().st_size > 100


def test_an_older_state_that_a_thief_puts_back_is_not_signed_anew(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    publisher.publish(version("bad"))
    thief = Thief(publisher)
    withdraw(publisher.repository(), "stable", "bad")
    thief.puts_back("timestamp.json")

    with pytest.raises(PublishError, match=r"timestamp has version 2, 3 is known: somebody put"):
        publisher.repository()


def test_a_root_that_a_thief_puts_back_is_not_believed(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "publisher")
    thief = Thief(publisher)
    publisher.rotate("timestamp")
    thief.puts_all_back()

    with pytest.raises(PublishError, match="the repository lacks root 2: somebody put an older"):
        publisher.repository()


def test_another_root_is_not_believed(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    publisher, thief = Publisher(tmp_path / "publisher"), Publisher(tmp_path / "thief")
    thief.publish(version("garden-1"))
    shutil.rmtree(publisher.folder / "metadata")
    shutil.copytree(thief.folder / "metadata", publisher.folder / "metadata")
    with pytest.raises(PublishError, match="timestamp is not signed by its key"):
        publisher.repository()
    (publisher.keys.folder / "root.json").unlink()
    with pytest.raises(PublishError, match=r"root\.json is missing, without which nothing here"):
        publisher.repository()
