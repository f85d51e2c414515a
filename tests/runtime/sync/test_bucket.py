"""A private bucket: a real service account's key, real tokens, and no right more than is needed."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import requires
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from packaging.requirements import Requirement
from publisher import Device, Publisher
from servers.gcs import FakeGcs

from birdedge.compress.publish.fleet import last_heartbeats, troubles
from birdedge.compress.publish.storage import ABSENT
from birdedge.compress.publish.storage.folder import FolderStorage
from birdedge.compress.publish.storage.gcs import GoogleStorage
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import SyncError
from birdedge.runtime.installed import Installed
from birdedge.runtime.sync.heartbeat import PREFIX, TIME, Heartbeat, heartbeat, send
from birdedge.runtime.sync.locations import locate

BUCKET, TOKEN = "birds", "of-this-hour"
ADDRESS = f"gs://{BUCKET}/field"


class Tokens:
    """Stands for Google's own server: gives a token to who signs with the account's key."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.status = 200
        tokens = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                tokens.asked.append(parse_qs(body))
                answer: dict[str, Any] = {"access_token": TOKEN, "expires_in": 3600}
                if tokens.status != 200:
                    answer = {"error": "invalid_grant", "error_description": "no such account"}
                content = json.dumps(answer).encode()
                self.send_response(tokens.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def off(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    server = Tokens()
    yield server
    server.off()


@pytest.fixture
def key(tmp_path: Path, tokens: Tokens) -> Path:
    """A service account's key, as Google's console gives it."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = tmp_path / "service-account.json"
    content = {
        "type": "service_account",
        "project_id": "test",
        "private_key_id": "1",
        "private_key": private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        "client_email": "feeder@test.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": tokens.url,
    }
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def workload(tmp_path: Path, tokens: Tokens) -> Path:
    """No key, but who a workload is elsewhere, which Google trusts: identity federation."""
    identity = tmp_path / "identity-of-this-hour"
    identity.write_text("signed-by-the-cluster")
    path = tmp_path / "workload.json"
    content = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/"
        "feeders/providers/cluster",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": tokens.url,
        "credential_source": {"file": str(identity)},
    }
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGcs]:
    """Who writes there may add heartbeats, and nothing else."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with FakeGcs(token=TOKEN, writable=("field/fleet/",), overwrite=False) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def device(tmp_path: Path, bucket: FakeGcs, version: Callable[..., ModelBundle]) -> Device:
    """A device whose repository the bucket's owner has filled."""
    publisher = Publisher(tmp_path / "owner")
    publisher.publish(version("garden-1"))
    for path in publisher.folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(publisher.folder).as_posix()
            bucket.put(BUCKET, f"field/{name}", path.read_bytes())
    return Device(tmp_path / "device", ADDRESS, publisher.root)


def test_who_has_the_key_reads_and_asks_for_one_token(
    device: Device, key: Path, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))

    assert device.sync().model == "garden-1"
    assert len(tokens.asked) == 1
    assert tokens.asked[0]["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


def test_a_workload_that_google_trusts_needs_no_key(
    device: Device, workload: Path, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(workload))

    assert device.sync().model == "garden-1"
    (asked,) = tokens.asked
    assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:token-exchange"]
    assert asked["subject_token"] == ["signed-by-the-cluster"]
    tokens.status = 400
    with pytest.raises(SyncError, match="Google does not give a token: ") as told:
        device.sync()
    assert "signed-by-the-cluster" not in str(told.value)


def test_a_device_has_what_google_needs_for_a_workload() -> None:
    """Its library imports requests then, whatever is used to speak to Google."""
    wanted = [Requirement(line) for line in requires("birdedge") or []]
    of_sync = [each for each in wanted if each.marker and each.marker.evaluate({"extra": "sync"})]

    (google,) = [each for each in of_sync if each.name == "google-auth"]
    assert google.extras == {"requests"}


def test_who_has_none_is_told_so(device: Device) -> None:
    with pytest.raises(SyncError, match=r"gs://birds/field does not give .* may this device read"):
        device.sync()


def test_no_secret_is_in_what_is_said(
    device: Device, key: Path, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    tokens.status = 400

    with pytest.raises(SyncError, match=r"Google does not give a token: .*no such account") as told:
        device.sync()

    assert "PRIVATE KEY" not in str(told.value) and "assertion" not in str(told.value)
    key.write_text("{}")
    with pytest.raises(SyncError, match="the key for Google is of no use"):
        device.sync()


def test_a_password_in_an_address_is_used_and_not_shown() -> None:
    location = locate("https://me:s%3Aecret@example.org/models/")

    assert location.headers() == {"Authorization": "Basic bWU6czplY3JldA=="}
    assert location.url == "https://example.org/models/"
    assert "ecret" not in location.shown


def test_heartbeats_reach_the_keeper_and_nothing_else_may_be_written(
    device: Device, bucket: FakeGcs, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    device.sync()
    for state in ("updated", "current"):
        send(heartbeat(device.installed, "stable", state), locate(ADDRESS))

    names = [name for name in bucket.contents(BUCKET) if name.startswith(f"field/{PREFIX}")]
    assert len(names) == 2
    (beat,) = last_heartbeats(GoogleStorage(ADDRESS))
    assert (beat.sync, beat.model, beat.trial) == ("current", "garden-1", True)
    assert beat.device == device.installed.state().device
    assert troubles(beat, beat.sent) == []
    with pytest.raises(Exception, match="403"):
        GoogleStorage(ADDRESS).write("metadata/timestamp.json", b"{}", ABSENT)


def test_a_heartbeat_says_nothing_of_birds_or_places(device: Device) -> None:
    device.installed.block("0" * 64, "bad", "cannot read /home/Ada King/models/x: it is gone")
    told = heartbeat(device.installed, "stable", "current").model_dump_json()

    assert set(json.loads(told)) <= {
        "schema_version", "device", "sent", "channel", "birdedge", "python", "machine", "model",
        "digest", "trial", "blocked", "sync", "visits", "frames", "latency_ms", "confidence",
        "free_gb", "temperature",
    }  # fmt: skip
    assert json.loads(told)["blocked"] == {"bad": "cannot read ...: it is gone"}


def test_a_clock_that_was_once_ahead_hides_no_later_heartbeat(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    beat = heartbeat(Installed(tmp_path / "models"), "stable", "current")
    now = beat.sent
    ahead = beat.model_copy(update={"sent": now + timedelta(days=365), "sync": "clock"})

    def says(each: Heartbeat) -> None:
        name = f"{PREFIX}{each.device}/{each.sent:{TIME}}.json"
        storage.write(name, each.model_dump_json().encode(), ABSENT)

    says(ahead)
    (alone,) = last_heartbeats(storage, now)
    says(beat)
    (last,) = last_heartbeats(storage, now)

    assert alone == ahead and "its clock is ahead" in troubles(alone, now)
    assert last == beat and troubles(last, now) == []


def test_what_is_no_heartbeat_is_passed_over(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write(f"{PREFIX}one/1.json", b"{", ABSENT)
    storage.write(f"{PREFIX}two/1.json", b'{"device": "two"}', ABSENT)
    beat = heartbeat(Installed(tmp_path / "models"), "stable", "current")
    without_zone = beat.model_dump_json().replace(beat.sent.strftime("%S.%fZ"), "00")
    storage.write(f"{PREFIX}{beat.device}/1.json", without_zone.encode(), ABSENT)
    # What is shown of a device is a part of its name.
    named = "[/x]" + "a" * 32
    posing = beat.model_dump_json().replace(beat.device, named)
    storage.write(f"{PREFIX}{named.replace('/', '-')}/1.json", posing.encode(), ABSENT)
    storage.write(f"{PREFIX}[/1.json", posing.encode(), ABSENT)
    # Nobody speaks for another device.
    storage.write(f"{PREFIX}{'0' * 32}/1.json", beat.model_dump_json().encode(), ABSENT)

    assert last_heartbeats(storage) == []
