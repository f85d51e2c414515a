"""What publishers do to a repository, and what happens to them where two do it at once."""

import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gcp_storage_emulator.server import create_server
from publisher import Device, Publisher, release_of, renamed
from servers.gcs import FakeGcs

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
from birdedge.runtime.sync.release import Channel

BUCKET = "birds"
ADDRESS = f"gs://{BUCKET}/field/models"


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGcs]:
    with FakeGcs() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        server.put(BUCKET, "something-else.txt", b"of somebody else")
        yield server


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The emulator that others use, for it is not ours; it knows nothing of preconditions."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    yield
    server.stop()


def address_of(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "folder":
        return str(tmp_path / "storage")
    request.getfixturevalue(kind)
    return ADDRESS


@pytest.fixture(params=["folder", "gcs"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a storage, of each kind."""
    return address_of(request.param, request, tmp_path)


@pytest.fixture
def storage(address: str) -> Storage:
    return open_storage(address)


@pytest.fixture
def version(tmp_path: Path, bundle: ModelBundle) -> Callable[[str], ModelBundle]:
    return lambda name: renamed(bundle, tmp_path / "versions" / name, name)


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
    request: pytest.FixtureRequest,
    version: Callable[[str], ModelBundle],
    tmp_path: Path,
) -> None:
    address = address_of(kind, request, tmp_path)
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


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", "stable"])
def test_a_new_key_shuts_no_device_out_and_the_old_one_signs_no_more(
    tmp_path: Path, version: Callable[[str], ModelBundle], role: str
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    device = Device(tmp_path / "device", str(publisher.folder), publisher.root)
    publisher.publish(version("garden-1"))
    device.sync()
    elsewhere = Keys(tmp_path / "elsewhere")
    shutil.copytree(publisher.keys.folder, elsewhere.folder)
    rotate(publisher, role)

    assert device.sync().state == "current"
    publisher.publish(version("garden-2"))
    assert device.sync().model == "garden-2"
    with pytest.raises(PublishError, match=f"is not the key that the repository trusts for {role}"):
        Repository(publisher.storage, elsewhere).renew([role])
    assert device.sync().state == "current"


def rotate(publisher: Publisher, role: str, interrupted: bool = False) -> None:
    repository = publisher.repository()
    repository.rotate(role)
    repository.commit()
    if not interrupted:
        publisher.keys.adopt_next(role)


@pytest.mark.parametrize("role", ["root", "timestamp", "stable"])
def test_who_is_interrupted_while_a_key_is_replaced_goes_on_with_the_new_one(
    tmp_path: Path, version: Callable[[str], ModelBundle], role: str
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    device = Device(tmp_path / "device", str(publisher.folder), publisher.root)
    # Before anything is written: the next key is there, and nobody trusts it.
    publisher.repository().rotate(role)
    publisher.publish(version("garden-1"))
    assert device.sync().model == "garden-1"
    # After everything is written, but for the key's own name.
    rotate(publisher, role, interrupted=True)
    publisher.publish(version("garden-2"))
    assert device.sync().model == "garden-2"
    # And once more, all the way.
    rotate(publisher, role)
    publisher.renew(role)
    assert device.sync().state == "current"


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
    rotate(publisher, "timestamp")
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


def test_what_has_expired_is_gone_on_from_only_if_somebody_says_so(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "publisher", now=datetime.now(UTC) - timedelta(days=20))

    with pytest.raises(PublishError, match=r"timestamp has expired; .* renew --expired"):
        Repository(publisher.storage, publisher.keys)
    repository = Repository(publisher.storage, publisher.keys, expired=True)
    repository.renew(["timestamp"])
    repository.commit()
    Repository(publisher.storage, publisher.keys)


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


def test_what_expires_is_renewed(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "publisher", now=datetime.now(UTC) - timedelta(days=10))
    before = publisher.repository().status()["timestamp"].expires
    publisher.now = None
    publisher.renew("timestamp", "snapshot")

    status = publisher.repository().status()
    assert status["timestamp"].expires > before + timedelta(days=9)
    assert status["timestamp"].version == 2


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
