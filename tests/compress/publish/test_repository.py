"""What publishers do to a repository, and what happens to them where two do it at once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from publisher import Device, Publisher, release_of

from birdedge.compress.publish.keys import Keys
from birdedge.compress.publish.publish import check_bundle, publish, withdraw
from birdedge.compress.publish.repository import Repository
from birdedge.compress.publish.storage import (
    ABSENT,
    ConflictError,
    PublishError,
    Storage,
    open_storage,
)
from birdedge.compress.publish.storage.folder import FolderStorage
from birdedge.compress.publish.trimmed import trim
from birdedge.runtime.bundle import ModelBundle


def test_a_storage_writes_over_what_was_seen_alone(storage: Storage) -> None:
    assert storage.read("a/b.json") is None
    storage.write("a/b.json", b"1", ABSENT)
    with pytest.raises(ConflictError):
        storage.write("a/b.json", b"2", ABSENT)
    seen = storage.read("a/b.json")
    assert seen is not None and seen.content == b"1"
    storage.write("a/b.json", b"2", seen.generation)
    with pytest.raises(ConflictError):
        storage.write("a/b.json", b"3", seen.generation)

    assert storage.read("a/b.json").content == b"2"
    assert storage.names("a/") == ["a/b.json"]
    assert storage.names("x/") == []


@pytest.mark.parametrize("kind", ["folder", "gcs", "emulator"])
def test_a_device_follows_what_is_published(
    kind: str,
    address_of: Callable[[str], str],
    version: Callable[[str], ModelBundle],
    tmp_path: Path,
) -> None:
    address = address_of(kind)
    publisher = Publisher(tmp_path / "publisher", storage=open_storage(address))
    device = Device(tmp_path / "device", address, publisher.root)
    for name in ("garden-1", "garden-2"):
        publisher.publish(version(name))

        assert device.sync().model == name


def test_what_is_there_is_not_uploaded_again(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    first, second = version("garden-1"), version("garden-2")
    whole = publisher.publish(first)
    changed = publisher.publish(second)
    again = publisher.publish(second, percent=50)

    assert whole.uploaded == sum(path.stat().st_size for path in first.folder.iterdir())
    assert changed.uploaded == (second.folder / "manifest.json").stat().st_size
    assert again.uploaded == 0


def test_of_two_publishers_at_once_one_wins_and_nothing_is_mixed(
    storage: Storage, address: str, version: Callable[[str], ModelBundle], tmp_path: Path
) -> None:
    publisher = Publisher(tmp_path / "publisher", storage=storage)
    one, other = publisher.repository(), publisher.repository()
    first, second = version("garden-1"), version("garden-2")
    publish(one, first, "stable", release_of(first))
    with pytest.raises(ConflictError, match="was written by somebody else meanwhile"):
        publish(other, second, "stable", release_of(second))

    device = Device(tmp_path / "device", address, publisher.root)
    assert device.sync().model == "garden-1"
    publisher.publish(second)
    assert device.sync().model == "garden-2"


def test_what_an_interrupted_publisher_left_is_in_nobodys_way(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    class Cut(FolderStorage):
        left = 100

        def write(self, name: str, content: bytes | Path, generation: int) -> None:
            if Cut.left == 0:
                raise PublishError("the line is cut")
            Cut.left -= 1
            super().write(name, content, generation)

    publisher = Publisher(tmp_path / "publisher", storage=Cut(tmp_path / "storage"))
    device = Device(tmp_path / "device", str(tmp_path / "storage"), publisher.root)
    publisher.publish(version("garden-0"))
    device.sync()
    bundle = version("garden-1")
    for writes in range(20):
        Cut.left = writes
        try:
            publisher.publish(bundle)
        except PublishError:
            assert device.sync().model == "garden-0"
        else:
            break

    assert device.sync().model == "garden-1"
    assert 3 < writes < 12


def test_a_beginning_that_failed_can_be_made_again(tmp_path: Path) -> None:
    storage, keys = FolderStorage(tmp_path / "storage"), Keys(tmp_path / "keys")
    for name in ("my/channel", "*", "root", ""):
        with pytest.raises(PublishError, match=r"is no name of a channel|is the name of"):
            Repository(storage, keys).begin(["stable", name])
    Repository(storage, keys).begin(["stable"])
    repository = Repository(storage, keys)
    repository.begin(["stable"])
    repository.commit()

    assert Repository(storage, keys).channels() == ["stable"]
    with pytest.raises(PublishError, match=r"'\*' is no name of a channel"):
        Repository(storage, keys).add_channel("*")


def test_a_release_that_is_not_there_cannot_be_withdrawn(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    publisher.publish(version("garden-1"))

    with pytest.raises(PublishError, match="'garden-2' is not one of stable's releases: garden-1"):
        withdraw(publisher.repository(), "stable", "garden-2")
    with pytest.raises(PublishError, match="no channel 'beta' here; there are stable"):
        withdraw(publisher.repository(), "beta", "garden-1")
    with pytest.raises(PublishError, match="no channel 'beta' here; there are stable"):
        publisher.repository().rotate("beta")


def test_old_releases_are_forgotten_but_for_five(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    for number in range(7):
        publisher.publish(version(f"garden-{number}"))

    targets = publisher.repository().targets("stable").targets
    manifests = [path for path in targets if path.endswith("manifest.json")]
    assert len(manifests) == 5


def test_a_bundle_that_is_broken_at_home_is_not_sent_out(
    version: Callable[[str], ModelBundle], make_bundle: Callable[..., ModelBundle]
) -> None:
    check_bundle(version("garden-1"))
    broken, other = version("garden-2"), make_bundle(bias=[9.0, 0.0, 0.0])
    golden = broken.manifest.golden.name
    shutil.copy(other.folder / golden, broken.folder / golden)

    with pytest.raises(PublishError, match="garden-2 onnx-fp32 fails its self-test here"):
        check_bundle(broken)


def test_a_bundle_can_be_published_with_some_of_its_targets(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    (only,) = bundle.manifest.targets
    trimmed = trim(bundle, [only], tmp_path / "trimmed")

    assert list(trimmed.manifest.targets) == [only]
    with pytest.raises(PublishError, match="has no tflite-int8; it has onnx-fp32"):
        trim(bundle, ["tflite-int8"], tmp_path / "other")


def test_a_damaged_repository_is_one_line(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "publisher")
    timestamp = publisher.folder / "metadata" / "timestamp.json"
    timestamp.write_bytes(b"{")
    with pytest.raises(PublishError, match=r"metadata/timestamp\.json is damaged"):
        publisher.repository()
    timestamp.unlink()
    with pytest.raises(PublishError, match=r"timestamp\.json is missing"):
        publisher.repository()
