"""The servers that tests of model sync use do what they are told, to the clients that sync uses."""

import hashlib
import json
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import urllib3
from google.api_core.exceptions import Conflict, Forbidden, NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.oauth2.credentials import Credentials
from servers.gcs import FakeGcs
from servers.proxy import CuttingProxy
from servers.ranges import part
from servers.web import WebServer
from urllib3.exceptions import MaxRetryError, ProtocolError, ReadTimeoutError

CONTENT = bytes(range(256)) * 4096
"""One MiB in which each place differs from its neighbours."""


def client(gcs: FakeGcs, token: str = "") -> storage.Client:
    credentials = Credentials(token) if token else AnonymousCredentials()
    return storage.Client("test", credentials, client_options={"api_endpoint": gcs.url})


def get(
    url: str, range_: str = "", proxy: CuttingProxy | None = None, timeout: float = 5.0
) -> urllib3.BaseHTTPResponse:
    """Ask once, without trying again."""
    headers = {"Range": range_} if range_ else {}
    with urllib3.ProxyManager(proxy.url) if proxy else urllib3.PoolManager() as pool:
        return pool.request("GET", url, headers=headers, retries=False, timeout=timeout)


def stream(url: str, timeout: float = 5.0) -> Iterator[bytes]:
    """A content as it comes; what came before an error is not lost."""
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url, preload_content=False, retries=False, timeout=timeout)
        with closing(response):
            yield from iter(lambda: response.read1(2**16), b"")


@pytest.fixture
def gcs() -> Iterator[FakeGcs]:
    with FakeGcs() as server:
        yield server


@pytest.fixture
def bucket(gcs: FakeGcs) -> storage.Bucket:
    return client(gcs).create_bucket("models")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "site"
    (folder / "a b").mkdir(parents=True)
    (folder / "a b" / "model.bin").write_bytes(CONTENT)
    (folder / "small.json").write_bytes(b"{}")
    with WebServer(folder) as server:
        yield server


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("", (200, 0, 10)),
        ("bytes=4-", (206, 4, 10)),
        ("bytes=4-6", (206, 4, 7)),
        ("bytes=4-99", (206, 4, 10)),
        ("bytes=-3", (206, 7, 10)),
        ("bytes=10-", (416, 0, 0)),
        ("bytes=6-4", (200, 0, 10)),
        ("bytes=1-2,4-5", (200, 0, 10)),
        ("lines=1-2", (200, 0, 10)),
    ],
)
def test_ranges_are_understood(header: str, answer: tuple[int, int, int]) -> None:
    found = part(header, 10)
    assert (found.status, found.start, found.stop) == answer


@pytest.mark.parametrize("chunk_size", [None, 2**18])
def test_the_storage_client_reads_what_it_wrote(
    gcs: FakeGcs, bucket: storage.Bucket, chunk_size: int | None
) -> None:
    blob = bucket.blob("targets/a b.bin", chunk_size=chunk_size)
    blob.metadata = {"release": "7"}
    blob.cache_control = "no-cache"
    blob.upload_from_string(CONTENT, content_type="model/bird", checksum="md5")
    found = client(gcs).bucket("models").get_blob("targets/a b.bin")
    assert found.size == len(CONTENT)
    assert found.content_type == "model/bird"
    assert found.metadata == {"release": "7"}
    assert found.cache_control == "no-cache"
    assert found.generation == blob.generation
    assert found.md5_hash == b64encode(hashlib.md5(CONTENT).digest()).decode()
    assert abs((datetime.now(UTC) - found.updated).total_seconds()) < 60
    assert found.time_created == found.updated
    assert found.download_as_bytes(checksum="crc32c") == CONTENT
    assert found.download_as_bytes(start=5, end=9) == CONTENT[5:10]
    in_pieces = client(gcs).bucket("models").blob("targets/a b.bin", chunk_size=2**18)
    assert in_pieces.download_as_bytes() == CONTENT
    assert gcs.contents("models") == {"targets/a b.bin": CONTENT}


def test_large_files_come_resumably(
    gcs: FakeGcs, bucket: storage.Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("google.cloud.storage.blob._MAX_MULTIPART_SIZE", 1000)
    (tmp_path / "model.bin").write_bytes(CONTENT)
    blob = bucket.blob("model.bin")
    blob.upload_from_filename(tmp_path / "model.bin", if_generation_match=0)
    assert gcs.contents("models")["model.bin"] == CONTENT
    assert [method for method, path, _ in gcs.requests if "upload" in path] == ["POST", "PUT"]
    with pytest.raises(PreconditionFailed):
        blob.upload_from_filename(tmp_path / "model.bin", if_generation_match=0)


def test_an_empty_object_is_one_too(gcs: FakeGcs, bucket: storage.Bucket) -> None:
    bucket.blob("one").upload_from_string(b"")
    bucket.blob("more", chunk_size=2**18).upload_from_string(b"")
    assert gcs.contents("models") == {"one": b"", "more": b""}
    assert bucket.blob("one").download_as_bytes() == b""


def test_a_wrong_generation_changes_nothing(gcs: FakeGcs, bucket: storage.Bucket) -> None:
    blob = bucket.blob("timestamp.json")
    blob.upload_from_string(b"1", if_generation_match=0)
    first = blob.generation
    with pytest.raises(PreconditionFailed, match="pre-conditions you specified did not hold"):
        blob.upload_from_string(b"2", if_generation_match=0)
    blob.upload_from_string(b"3", if_generation_match=first)
    assert blob.generation > first
    for refused in (
        lambda: blob.upload_from_string(b"4", if_generation_match=first),
        lambda: bucket.blob("timestamp.json").download_as_bytes(if_generation_match=first),
        lambda: blob.delete(if_generation_match=first),
    ):
        with pytest.raises(PreconditionFailed):
            refused()
    assert gcs.contents("models") == {"timestamp.json": b"3"}
    blob.delete(if_generation_match=blob.generation)
    assert gcs.contents("models") == {}


def test_of_two_who_write_at_once_one_wins(gcs: FakeGcs, bucket: storage.Bucket) -> None:
    def write(content: bytes) -> bool:
        try:
            client(gcs).bucket("models").blob("lock").upload_from_string(
                content, if_generation_match=0
            )
        except PreconditionFailed:
            return False
        return True

    for _ in range(3):
        with ThreadPoolExecutor(8) as threads:
            won = list(threads.map(write, [b"%d" % number for number in range(8)]))
        assert won.count(True) == 1
        assert gcs.contents("models")["lock"] == b"%d" % won.index(True)
        bucket.blob("lock").delete()


def test_what_it_does_not_know_it_does_not_ignore(gcs: FakeGcs, bucket: storage.Bucket) -> None:
    url = f"{gcs.url}/storage/v1/b/models/o/x?ifMetagenerationMatch=1"
    response = get(url)
    assert response.status == 501
    assert "ifMetagenerationMatch" in response.json()["error"]["message"]


def test_what_is_not_there_is_not_found(gcs: FakeGcs, bucket: storage.Bucket) -> None:
    assert bucket.get_blob("nothing") is None
    assert not bucket.blob("nothing").exists()
    assert client(gcs).lookup_bucket("nowhere") is None
    for missing in (
        lambda: bucket.blob("nothing").reload(),
        lambda: bucket.blob("nothing").download_as_bytes(),
        lambda: bucket.blob("nothing").delete(),
        lambda: client(gcs).bucket("nowhere").blob("x").upload_from_string(b"x"),
    ):
        with pytest.raises(NotFound):
            missing()
    with pytest.raises(Conflict):
        client(gcs).create_bucket("models")


def test_listing_knows_prefixes_folders_and_pages(gcs: FakeGcs) -> None:
    for name in ("1.root.json", "targets/a", "targets/b", "targets/deep/c", "timestamp.json"):
        gcs.put("models", name, b"x")
    bucket = client(gcs).get_bucket("models")
    assert [blob.name for blob in bucket.list_blobs(prefix="targets/", page_size=2)] == [
        "targets/a",
        "targets/b",
        "targets/deep/c",
    ]
    listing = bucket.list_blobs(delimiter="/", page_size=1)
    assert [blob.name for blob in listing] == ["1.root.json", "timestamp.json"]
    assert listing.prefixes == {"targets/"}
    assert list(bucket.list_blobs(prefix="none")) == []


def test_plain_http_clients_read_objects_and_parts_of_them(gcs: FakeGcs) -> None:
    generation = gcs.put("models", "targets/a b.bin", CONTENT)
    url = f"{gcs.url}/models/targets/a%20b.bin"
    whole = get(url)
    assert whole.data == CONTENT
    assert whole.headers["ETag"] == f'"{hashlib.md5(CONTENT).hexdigest()}"'
    assert whole.headers["X-Goog-Generation"] == str(generation)
    said = parsedate_to_datetime(whole.headers["Date"])
    assert abs((datetime.now(UTC) - said).total_seconds()) < 60
    rest = get(url, "bytes=1000000-")
    assert (rest.status, rest.data) == (206, CONTENT[1000000:])
    assert rest.headers["Content-Range"] == f"bytes 1000000-1048575/{len(CONTENT)}"
    beyond = get(url, f"bytes={len(CONTENT)}-")
    assert beyond.status == 416
    assert beyond.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    missing = get(f"{gcs.url}/models/nothing")
    assert missing.status == 404
    assert b"<Code>NoSuchKey</Code>" in missing.data
    assert gcs.requests[1] == ("GET", "/models/targets/a b.bin", "bytes=1000000-")


def test_the_environment_leads_to_it(gcs: FakeGcs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    blob = storage.Client().create_bucket("models").blob("x")
    blob.upload_from_string(b"x", if_generation_match=0)
    assert blob.download_as_bytes() == b"x"


def test_private_buckets_want_a_token() -> None:
    with FakeGcs(token="good") as gcs:
        gcs.put("models", "x", b"x")
        assert client(gcs, "good").bucket("models").blob("x").download_as_bytes() == b"x"
        for stranger in (client(gcs), client(gcs, "bad")):
            with pytest.raises(GoogleAuthError):
                stranger.bucket("models").blob("x").download_as_bytes()
        assert get(f"{gcs.url}/models/x").status == 401
        refused = get(f"{gcs.url}/storage/v1/b/models/o/x")
        assert refused.status == 401
        assert json.loads(refused.data)["error"]["errors"][0]["reason"] == "authError"


def test_who_may_only_create_replaces_nothing() -> None:
    with FakeGcs(writable=("targets/",), overwrite=False) as gcs:
        bucket = client(gcs).create_bucket("models")
        blob = bucket.blob("targets/x")
        blob.upload_from_string(b"x")
        with pytest.raises(Forbidden, match=r"storage\.objects\.delete"):
            blob.upload_from_string(b"y")
        with pytest.raises(Forbidden, match=r"storage\.objects\.delete"):
            blob.delete()
        with pytest.raises(Forbidden, match=r"storage\.objects\.create"):
            bucket.blob("timestamp.json").upload_from_string(CONTENT)
        assert gcs.contents("models") == {"targets/x": b"x"}


def test_a_folder_is_served_with_ranges(web: WebServer) -> None:
    url = f"{web.url}/a%20b/model.bin"
    assert get(url).data == CONTENT
    rest = get(url, "bytes=1000000-")
    assert (rest.status, rest.data) == (206, CONTENT[1000000:])
    assert get(url, f"bytes={len(CONTENT)}-").status == 416
    web.no_range = True
    assert (get(url, "bytes=5-").status, get(url, "bytes=5-").data) == (200, CONTENT)
    assert get(f"{web.url}/nothing").status == 404
    assert web.requests[:2] == [
        ("GET", "/a b/model.bin", ""),
        ("GET", "/a b/model.bin", "bytes=1000000-"),
    ]


@pytest.mark.parametrize(
    "path", ["/%2e%2e/secret", "/a%20b/..%2f..%2fsecret", "/%2Fetc/passwd", "/%00", "/"]
)
def test_nothing_outside_the_folder_is_served(web: WebServer, path: str) -> None:
    assert get(web.url + path).status == 404


def test_it_says_what_it_is_told_to(web: WebServer) -> None:
    web.instead["/small.json"] = b"tampered"
    web.instead["/new.json"] = b"made up"
    web.status["/a b/model.bin"] = 503
    web.date = datetime(2031, 5, 1, 6, 0, tzinfo=UTC)
    answer = get(f"{web.url}/small.json")
    assert answer.data == b"tampered"
    assert answer.headers.get_all("Date") == ["Thu, 01 May 2031 06:00:00 GMT"]
    assert get(f"{web.url}/new.json").data == b"made up"
    assert get(f"{web.url}/a%20b/model.bin").status == 503
    web.status.clear()
    assert get(f"{web.url}/a%20b/model.bin").status == 200


def test_a_cut_line_brings_what_came_before(web: WebServer) -> None:
    web.cut_after = 100_000
    came = bytearray()
    with pytest.raises(ProtocolError, match="IncompleteRead"):
        for piece in stream(f"{web.url}/a%20b/model.bin"):
            came += piece
    assert came == CONTENT[:100_000]
    assert (web.bytes_sent, web.cuts) == (100_000, 1)
    assert get(f"{web.url}/small.json").data == b"{}"
    web.cut_after = None
    assert get(f"{web.url}/a%20b/model.bin", "bytes=100000-").data == CONTENT[100_000:]


def test_a_slow_line_is_slow(web: WebServer) -> None:
    web.bytes_per_second = 3_000_000
    begun = time.monotonic()
    assert get(f"{web.url}/a%20b/model.bin").data == CONTENT
    assert 0.3 < time.monotonic() - begun < 1.5


def test_a_stalled_line_stays_open_and_silent(web: WebServer) -> None:
    web.stall_after = 1000
    came = b""
    with pytest.raises(ReadTimeoutError):
        for piece in stream(f"{web.url}/a%20b/model.bin", timeout=0.2):
            came += piece
    assert came == CONTENT[:1000]


def test_endless_data_never_ends(web: WebServer) -> None:
    web.endless = "/small.json"
    came = 0
    for piece in stream(f"{web.url}/small.json"):
        came += len(piece)
        if came > 5_000_000:
            break
    assert came > 5_000_000


def test_off_hangs_up_on_everyone(web: WebServer) -> None:
    web.stall_after = 1000
    pieces = stream(f"{web.url}/a%20b/model.bin")
    assert len(next(pieces)) == 1000
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", f"{web.url}/small.json").data == b"{}"
        web.off()
        with pytest.raises(ProtocolError):
            next(pieces)
        with pytest.raises(MaxRetryError):
            pool.request("GET", f"{web.url}/small.json", retries=0)


def test_the_proxy_passes_on_and_counts(web: WebServer) -> None:
    with CuttingProxy() as proxy:
        url = f"{web.url}/a%20b/model.bin"
        web.date = datetime(2031, 5, 1, 6, 0, tzinfo=UTC)
        rest = get(url, "bytes=1000000-", proxy)
        assert (rest.status, rest.data) == (206, CONTENT[1000000:])
        assert rest.headers.get_all("Date") == ["Thu, 01 May 2031 06:00:00 GMT"]
        assert get(f"{web.url}/nothing", proxy=proxy).status == 404
        assert proxy.requests[0] == ("GET", f"{web.url}/a b/model.bin", "bytes=1000000-")
        assert (len(proxy.requests), len(web.requests)) == (2, 2)
        web.off()
        assert get(url, proxy=proxy).status == 502


def test_the_proxy_breaks_lines(
    gcs: FakeGcs, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CuttingProxy() as proxy:
        url = f"{web.url}/a%20b/model.bin"
        proxy.cut_after = 500_000
        with pytest.raises(ProtocolError):
            get(url, proxy=proxy)
        assert (proxy.cuts, web.cuts) == (1, 0)
        proxy.cut_after, web.cut_after = None, 1000
        with pytest.raises(ProtocolError):
            get(url, proxy=proxy)
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        blob = client(gcs).create_bucket("models").blob("x")
        blob.upload_from_string(CONTENT, if_generation_match=0)
        # Google's client goes on by itself where a line was cut.
        proxy.cut_after = 600_000
        assert blob.download_as_bytes() == CONTENT
        assert proxy.cuts == 2
