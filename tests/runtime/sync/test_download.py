"""Of a model just what is missing is fetched, over lines that are cut, slow and metered."""

import itertools
import shutil
import time
from collections.abc import Callable

import numpy as np
import pytest
from publisher import Device, Publisher, with_notes
from servers.proxy import CuttingProxy
from servers.web import WebServer

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import SyncError
from birdedge.runtime.sync import install

Version = Callable[..., ModelBundle]


def leave_behind(device: Device, bundle: ModelBundle, content: bytes) -> None:
    """Be an earlier sync that got so far with a bundle's golden file."""
    partial = device.installed.folder / "sync" / "partial"
    partial.mkdir(parents=True)
    (partial / bundle.manifest.golden.sha256).write_bytes(content)


def test_of_a_bundle_only_the_files_that_are_new_are_fetched(
    publisher: Publisher, device: Device, version: Version, web: WebServer
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    publisher.publish(with_notes(version("garden-2"), b"n" * 50_000))
    web.requests.clear()

    device.sync()

    fetched = [path.rpartition("/")[2].partition(".")[2] for _, path, _ in web.requests]
    files = [name for name in fetched if name.endswith(("notes.txt", ".onnx", ".npz"))]
    assert [name.partition(".")[2] for name in files] == ["notes.txt"]
    assert device.model == "garden-2"


def test_a_line_that_is_cut_again_and_again_brings_the_model_nevertheless(
    publisher: Publisher,
    device: Device,
    version: Version,
    web: WebServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise = np.random.default_rng(0).bytes(1_000_000)
    publisher.publish(with_notes(version("garden-1"), noise))
    with CuttingProxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        proxy.cut_after = 150_000

        device.sync()

        assert device.model == "garden-1"
        assert proxy.cuts >= 6
        assert proxy.bytes_sent < 1_200_000


def test_no_more_of_the_line_is_taken_than_is_allowed(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(with_notes(version("garden-1"), b"n" * 300_000))
    start = time.monotonic()

    device.sync(bytes_per_second=200_000)

    assert device.model == "garden-1"
    assert time.monotonic() - start > 1.4


def test_a_server_that_knows_no_ranges_is_asked_for_the_whole_again(
    publisher: Publisher, device: Device, version: Version, web: WebServer
) -> None:
    bundle = version("garden-1")
    publisher.publish(bundle)
    golden = bundle.folder / bundle.manifest.golden.name
    leave_behind(device, bundle, golden.read_bytes()[:500])
    web.no_range = True

    device.sync()

    assert device.model == "garden-1"
    assert ("bytes=500-" in [asked for _, _, asked in web.requests]) is True


def test_a_file_without_content_is_a_file(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(with_notes(version("garden-1"), b""))

    assert device.sync().model == "garden-1"
    assert (device.installed.current().folder / "notes.txt").read_bytes() == b""


def test_what_a_power_cut_tore_is_fetched_once_more(
    publisher: Publisher, device: Device, version: Version
) -> None:
    bundle = version("garden-1")
    publisher.publish(bundle)
    leave_behind(device, bundle, bytes(500))

    assert device.sync().model == "garden-1"


def test_a_download_ends_with_its_hours_and_goes_on_in_the_next(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(with_notes(version("garden-1"), bytes(400_000)))
    pieces = itertools.count()

    with pytest.raises(SyncError, match="its hours are over; it goes on in the next ones"):
        device.sync(may_go_on=lambda: next(pieces) < 10)
    came = sum(path.stat().st_size for path in (device.installed.folder / "sync").rglob("*"))
    assert device.sync().model == "garden-1"
    assert device.line is not None and device.line.bytes_read < 460_000 - came / 2


def test_a_disk_without_space_is_told_before_anything_is_fetched(
    publisher: Publisher,
    device: Device,
    version: Version,
    web: WebServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher.publish(version("garden-1"))
    usage = shutil.disk_usage(device.installed.folder.parent)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: usage._replace(free=50_000_100))

    with pytest.raises(SyncError, match="no space for garden-1: it needs "):
        device.sync()

    assert not any(path.endswith((".onnx", ".npz")) for _, path, _ in web.requests)
