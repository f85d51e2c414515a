"""Each attack of docs/sync.md is refused with words of its own, and the old model stays."""

import json
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from publisher import Device, Publisher
from servers.web import WebServer

from birdedge.compress.publish.believed import Believed
from birdedge.compress.publish.keys import Keys
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import SyncError
from birdedge.runtime.installed import Installed
from birdedge.runtime.sync import install

Version = Callable[..., ModelBundle]

YEAR = timedelta(days=365)


@pytest.fixture
def follows(publisher: Publisher, device: Device, version: Version) -> Device:
    """A device with a model, whose repository has a newer one."""
    publisher.publish(version("garden-1"))
    device.sync()
    assert device.model == "garden-1"
    return device


@pytest.fixture
def untouched(follows: Device) -> Callable[[], None]:
    before = snapshot(follows.installed)

    def check() -> None:
        assert snapshot(follows.installed) == before
        ModelBundle.load(follows.installed.current().folder)

    return check


def snapshot(installed: Installed) -> dict[str, bytes]:
    """All that is installed, but for what sync keeps for itself."""
    return {
        path.relative_to(installed.folder).as_posix(): path.read_bytes()
        for path in installed.folder.rglob("*")
        if path.is_file() and "sync" not in path.parts and path.name != "state.json"
    }


def refused(device: Device, told: str, **line: float) -> None:
    with pytest.raises(SyncError, match=told):
        device.sync(**line)


def metadata(publisher: Publisher) -> dict[str, bytes]:
    """Metadata as they are now, by the path that a device asks for."""
    return {
        f"/metadata/{path.name}": path.read_bytes()
        for path in (publisher.folder / "metadata").iterdir()
    }


def target(publisher: Publisher, name: str) -> str:
    """The path of the newest target of that name."""
    paths = (publisher.folder / "targets").rglob(f"*.{name}")
    newest = max(paths, key=lambda path: path.stat().st_mtime_ns)
    return f"/{newest.relative_to(publisher.folder).as_posix()}"


def test_rollback(
    publisher: Publisher, follows: Device, version: Version, web: WebServer,
    untouched: Callable[[], None],
) -> None:  # fmt: skip
    """Old metadata, once valid, are played again."""
    old = metadata(publisher)
    publisher.renew()
    follows.sync()
    publisher.publish(version("garden-2"))
    web.instead = {"/metadata/timestamp.json": old["/metadata/timestamp.json"]}

    refused(follows, "rollback refused: .* offers older metadata than this device has seen")
    untouched()


def test_freeze(
    publisher: Publisher, follows: Device, version: Version, untouched: Callable[[], None]
) -> None:
    """Newer metadata are kept from the device until what it sees has expired."""
    publisher.now = datetime.now(UTC) - timedelta(days=15)
    publisher.renew("timestamp")

    refused(follows, "freeze refused: the timestamp metadata of .* has expired")
    untouched()


def test_mix_and_match(
    publisher: Publisher, follows: Device, version: Version, web: WebServer,
    untouched: Callable[[], None],
) -> None:  # fmt: skip
    """A new snapshot's place is taken by one of another day, signed as well."""
    publisher.publish(version("garden-2"))
    old = metadata(publisher)
    publisher.publish(version("garden-3"))
    newest = max(int(name.split("/")[2].split(".")[0]) for name in old if "snapshot" in name)
    web.instead = {
        f"/metadata/{newest + 1}.snapshot.json": old[f"/metadata/{newest}.snapshot.json"]
    }

    refused(follows, "mixed or tampered metadata: .*snapshot.json of .* is not what was signed")
    untouched()


def test_a_tampered_file(
    publisher: Publisher, follows: Device, version: Version, web: WebServer,
    untouched: Callable[[], None],
) -> None:  # fmt: skip
    changed = version("garden-2")
    publisher.publish(changed)
    path = target(publisher, "manifest.json")
    content = (publisher.folder / path[1:]).read_bytes()
    web.instead = {path: content.replace(b"garden-2", b"garden-X")}

    refused(follows, "tampered file refused: stable/.*manifest.json is not the one that was signed")
    untouched()
    web.instead = {}
    assert follows.sync().model == "garden-2"


def test_an_oversize_file(
    publisher: Publisher, follows: Device, version: Version, web: WebServer,
    untouched: Callable[[], None],
) -> None:  # fmt: skip
    publisher.publish(version("garden-2"))
    web.instead = {target(publisher, "manifest.json"): b"x" * 10_000_000}

    refused(follows, "oversize refused: stable/.* is larger than the .* bytes that were signed")
    untouched()
    assert follows.line is not None and follows.line.bytes_read < 1_000_000


def test_oversize_metadata(
    publisher: Publisher, follows: Device, web: WebServer, untouched: Callable[[], None]
) -> None:
    web.endless = "/metadata/timestamp.json"

    refused(follows, "oversize refused: timestamp.json of .* is larger than was signed")
    untouched()


def test_endless_slow_metadata(
    publisher: Publisher, follows: Device, web: WebServer, untouched: Callable[[], None]
) -> None:
    """Bytes that come one by one, so that no time-out ever strikes."""
    publisher.renew()
    web.bytes_per_second = 100

    refused(follows, "too slow: timestamp.json of .* came with .* bytes a second", slow_window=0.5)
    untouched()


def test_an_answer_that_never_begins(
    publisher: Publisher, follows: Device, untouched: Callable[[], None]
) -> None:
    """Headers that come one by one: each is in time, and there is no end to them."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            caller, _ = server.accept()
            with caller, suppress(OSError):
                caller.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    caller.sendall(b"X-More: 1\r\n")
                    time.sleep(0.2)

        Thread(target=trickle, daemon=True).start()
        follows.address = f"http://127.0.0.1:{server.getsockname()[1]}"

        refused(follows, "too slow: .* came with no whole answer", timeout=0.5, patience=0.5)
    untouched()


def test_an_endless_slow_file(
    publisher: Publisher,
    follows: Device,
    version: Version,
    web: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    untouched: Callable[[], None],
) -> None:
    publisher.publish(version("garden-2"))
    fetch = install._fetch

    def when_metadata_have_come(*arguments: Any) -> Any:
        web.bytes_per_second = 100
        return fetch(*arguments)

    monkeypatch.setattr(install, "_fetch", when_metadata_have_come)

    refused(follows, "too slow: stable/.*manifest.json of .* came with .* bytes", slow_window=0.5)
    untouched()


def test_a_server_that_says_nothing(
    publisher: Publisher, follows: Device, version: Version, web: WebServer,
    untouched: Callable[[], None],
) -> None:  # fmt: skip
    publisher.publish(version("garden-2"))
    web.stall_after = 100

    refused(follows, "cannot reach http://.*; it is tried again later", timeout=0.3)
    untouched()


def test_a_wrong_key(
    publisher: Publisher, follows: Device, version: Version, web: WebServer, tmp_path: Path,
    untouched: Callable[[], None],
) -> None:  # fmt: skip
    """Somebody with the bucket's credentials, but no key, publishes there."""
    thief = Publisher(tmp_path / "thief")
    for _ in range(5):
        thief.publish(
            version("garden-2") if _ == 0 else ModelBundle.load(tmp_path / "versions" / "garden-2")
        )
    shutil.rmtree(publisher.folder)
    shutil.copytree(thief.folder, publisher.folder)

    refused(follows, r"wrong key: timestamp.json of .* is not signed by the keys that this device")
    untouched()


def test_a_channels_key_signs_for_no_other_channel(
    tmp_path: Path, version: Version, publisher: Publisher, follows: Device, web: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    untouched: Callable[[], None],
) -> None:  # fmt: skip
    """The key of beta was stolen; devices on stable do not believe it."""
    repository = publisher.repository()
    repository.add_channel("beta")
    repository.commit()
    keys = publisher.keys.folder
    shutil.copy(keys / "beta.pem", keys / "stable.pem")
    # A thief's own tools check nothing.
    monkeypatch.setattr(Keys, "signer", lambda self, role, _: self._read(self._path(role)))
    monkeypatch.setattr(Believed, "verify", lambda *_: None)
    publisher.publish(version("garden-2"))

    refused(follows, r"wrong key: \d+.stable.json of ")
    untouched()


def test_a_new_root_that_the_old_one_has_not_signed(
    publisher: Publisher, follows: Device, web: WebServer, tmp_path: Path,
    untouched: Callable[[], None],
) -> None:  # fmt: skip
    thief = Publisher(tmp_path / "thief")
    thief.renew("root")
    web.instead = {"/metadata/2.root.json": metadata(thief)["/metadata/2.root.json"]}

    refused(follows, "wrong key: 2.root.json of ")
    untouched()


def test_an_expired_root(
    publisher: Publisher, follows: Device, untouched: Callable[[], None]
) -> None:
    publisher.now = datetime.now(UTC) - 2 * YEAR
    publisher.renew("root")
    publisher.now = None
    publisher.renew("timestamp")

    refused(follows, "expired root: .* its keeper runs `birdedge keys renew root`")
    untouched()


def test_a_clock_that_is_a_year_ahead(
    publisher: Publisher, follows: Device, web: WebServer, untouched: Callable[[], None]
) -> None:
    """For the device all has expired; the server's clock tells why."""
    publisher.now = datetime.now(UTC) - YEAR
    publisher.renew("timestamp")
    web.date = publisher.now

    refused(
        follows, r"clock: this machine's says \d+-\d+-\d+, the server's \d+-\d+-\d+; .*timedatectl"
    )
    untouched()


def test_a_clock_that_is_a_year_behind(
    publisher: Publisher, device: Device, version: Version, web: WebServer
) -> None:
    """Even at the first time: releases and the server are of a day that has not come."""
    publisher.publish(version("garden-1"), published=datetime.now(UTC) + YEAR)
    web.date = datetime.now(UTC) + YEAR

    refused(device, "clock: this machine's says .* at least; `timedatectl` sets it")


def test_a_repository_that_is_gone(
    publisher: Publisher, follows: Device, web: WebServer, untouched: Callable[[], None]
) -> None:
    shutil.rmtree(publisher.folder)
    refused(follows, "does not give timestamp.json .*is the address right")
    web.off()
    refused(follows, "cannot reach http://127.0.0.1:.* [Rr]efused.*; it is tried again later")
    untouched()


def test_a_channel_that_says_what_no_birdedge_understands(
    publisher: Publisher, follows: Device, version: Version, monkeypatch: pytest.MonkeyPatch,
    untouched: Callable[[], None],
) -> None:  # fmt: skip
    from birdedge.runtime.sync.release import Channel

    dump = Channel.model_dump_json

    def later(self: Channel, **how: bool) -> str:
        return json.dumps(json.loads(dump(self, **how)) | {"schema_version": 2})

    monkeypatch.setattr(Channel, "model_dump_json", later)
    publisher.publish(version("garden-2"))

    refused(follows, "stable/channel.json: schema_version: .*; update birdedge")
    untouched()
