"""Keys are replaced and signatures renewed, and no device is shut out by it."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from publisher import Device, Publisher

from birdedge.compress.publish.keys import Keys
from birdedge.compress.publish.repository import Repository
from birdedge.compress.publish.storage import PublishError
from birdedge.runtime.bundle import ModelBundle


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
    publisher.rotate(role)

    assert device.sync().state == "current"
    publisher.publish(version("garden-2"))
    assert device.sync().model == "garden-2"
    with pytest.raises(PublishError, match=f"is not the key that the repository trusts for {role}"):
        Repository(publisher.storage, elsewhere).renew([role])
    assert device.sync().state == "current"


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
    publisher.rotate(role, interrupted=True)
    publisher.publish(version("garden-2"))
    assert device.sync().model == "garden-2"
    # And once more, all the way.
    publisher.rotate(role)
    publisher.renew(role)
    assert device.sync().state == "current"


def test_who_is_interrupted_between_two_names_of_a_key_goes_on_with_the_new_one(
    tmp_path: Path, version: Callable[[str], ModelBundle]
) -> None:
    publisher = Publisher(tmp_path / "publisher")
    device = Device(tmp_path / "device", str(publisher.folder), publisher.root)
    publisher.rotate("stable", interrupted=True)
    key, old = (publisher.keys.folder / name for name in ("stable.pem", "stable.old.pem"))
    replaced = key.read_bytes()
    key.rename(old)

    publisher.publish(version("garden-1"))
    assert device.sync().model == "garden-1"
    assert key.is_file() and old.read_bytes() == replaced


def test_what_has_expired_is_gone_on_from_only_if_somebody_says_so(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "publisher", now=datetime.now(UTC) - timedelta(days=20))

    with pytest.raises(PublishError, match=r"timestamp has expired; .* renew --expired"):
        Repository(publisher.storage, publisher.keys)
    repository = Repository(publisher.storage, publisher.keys, expired=True)
    repository.renew(["timestamp"])
    repository.commit()
    Repository(publisher.storage, publisher.keys)


def test_what_expires_is_renewed(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "publisher", now=datetime.now(UTC) - timedelta(days=10))
    before = publisher.repository().status()["timestamp"].expires
    publisher.now = None
    publisher.renew("timestamp", "snapshot")

    status = publisher.repository().status()
    assert status["timestamp"].expires > before + timedelta(days=9)
    assert status["timestamp"].version == 2
