"""A device follows a channel: what is new comes, is tried here, and takes over, or all stays."""

import itertools
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from publisher import Device, Publisher, renamed, spoiled, with_notes
from servers.proxy import CuttingProxy
from servers.web import WebServer

from birdedge.runtime import golden
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import SyncError
from birdedge.runtime.installed import INSIDE
from birdedge.runtime.sync import install, synchronise

Version = Callable[..., ModelBundle]


def test_a_new_model_takes_the_place_of_the_one_inside(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))

    outcome = device.sync()

    assert (outcome.state, outcome.model) == ("updated", "garden-1")
    used = ModelBundle.load(device.installed.current().folder)
    assert used.manifest.id == "garden-1"
    assert golden.self_test(used, "onnx-fp32", 1).passed


def test_where_nothing_is_new_two_requests_and_less_than_five_kilobytes_are_enough(
    publisher: Publisher, device: Device, version: Version, web: WebServer
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    web.requests.clear()
    before = web.bytes_sent

    outcome = device.sync()

    assert outcome.state == "current"
    assert len(web.requests) == 2
    assert web.bytes_sent - before < 5000


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


def test_the_last_two_models_are_kept(
    publisher: Publisher, device: Device, version: Version
) -> None:
    for name in ("garden-1", "garden-2", "garden-3"):
        publisher.publish(version(name))
        device.sync()

    kept = [model.model for model in device.installed.models() if model.name != INSIDE]
    assert kept == ["garden-2", "garden-3"]
    assert device.installed.state().previous is not None
    bad = device.installed.current().digest
    assert device.installed.roll_back(bad, "no good").model == "garden-2"
    assert device.sync().state == "current"
    assert device.model == "garden-2"


def test_a_model_that_fails_its_self_test_here_is_refused_once_and_for_all(
    publisher: Publisher, device: Device, version: Version, web: WebServer
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    publisher.publish(spoiled(version("garden-2")))

    with pytest.raises(SyncError, match=r"garden-2 is not taken: its self-test failed: .* is off"):
        device.sync()

    assert device.model == "garden-1"
    assert [entry.model for entry in device.installed.state().blocked.values()] == ["garden-2"]
    web.requests.clear()
    assert device.sync().state == "current"
    assert len(web.requests) == 2


def test_a_model_that_is_slower_than_it_may_be_is_refused(
    publisher: Publisher,
    device: Device,
    version: Version,
    make_bundle: Callable[..., ModelBundle],
    tmp_path: Path,
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    heavy = renamed(make_bundle(heavy=12), tmp_path / "heavy", "heavy-1")
    publisher.publish(heavy, budget={"slowdown": 2.0})

    for _ in range(3):
        # The machine may just have been busy.
        assert device.installed.state().blocked == {}
        with pytest.raises(SyncError, match=r"heavy-1 is not taken: too slow here: .* times"):
            device.sync()

    assert device.model == "garden-1"
    assert device.sync().state == "current"
    assert [entry.model for entry in device.installed.state().blocked.values()] == ["heavy-1"]


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        ({"latency_ms": 0.0001}, "too slow here: .* ms for one picture"),
        ({"memory_mb": 1.0}, "too large here: .* MB, 1 allowed"),
    ],
)
def test_a_model_beyond_its_budget_is_refused(
    publisher: Publisher, device: Device, version: Version, budget: dict[str, float], told: str
) -> None:
    publisher.publish(version("garden-1"), budget=budget)

    with pytest.raises(SyncError, match=told):
        device.sync()

    assert device.installed.current().name == INSIDE


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
    entry = bundle.manifest.golden
    partial = device.installed.folder / "sync" / "partial"
    partial.mkdir(parents=True)
    (partial / entry.sha256).write_bytes((bundle.folder / entry.name).read_bytes()[:500])
    web.no_range = True

    device.sync()

    assert device.model == "garden-1"
    assert ("bytes=500-" in [asked for _, _, asked in web.requests]) is True


def test_a_model_for_some_devices_reaches_just_these(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("old"))
    publisher.publish(version("needs-later"), min_version="2.0")
    publisher.publish(version("elsewhere"), regions=("NZ",))
    publisher.publish(version("for-nobody"), percent=0)

    assert device.sync(version="1.9", region="US-NY").model == "old"
    assert device.sync(version="2.0", region="US-NY").model == "needs-later"
    assert device.sync(version="1.9", region="NZ-AUK").model == "elsewhere"


def test_a_channel_with_nothing_for_this_device_leaves_the_model_inside(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("for-nobody"), percent=0)

    assert device.sync().state == "waiting"
    assert device.installed.current().name == INSIDE


def test_a_pinned_model_stays(publisher: Publisher, device: Device, version: Version) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    with device.installed.changing() as state:
        state.pinned = True
    publisher.publish(version("garden-2"))

    assert device.sync().state == "pinned"
    assert device.model == "garden-1"


def test_a_release_that_is_withdrawn_leaves_the_devices(
    publisher: Publisher, device: Device, version: Version
) -> None:
    from birdedge.compress.publish.publish import withdraw

    publisher.publish(version("garden-1"))
    publisher.publish(version("garden-2"))
    assert device.sync().model == "garden-2"

    withdraw(publisher.repository(), "stable", "garden-2")

    assert device.sync().model == "garden-1"


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


def test_a_damaged_model_is_mended(publisher: Publisher, device: Device, version: Version) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    (device.installed.current().folder / "golden.npz").write_bytes(b"")

    assert device.sync().state == "updated"
    assert ModelBundle.load(device.installed.current().folder).manifest.id == "garden-1"


def test_a_link_that_leads_nowhere_means_the_model_inside(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    (device.installed.folder / "current").unlink()
    (device.installed.folder / "current").symlink_to("gone")

    assert device.installed.current().name == INSIDE
    assert device.sync().state == "updated"
    assert device.model == "garden-1"


def test_models_share_no_file_on_the_card(
    publisher: Publisher, device: Device, version: Version
) -> None:
    for name in ("garden-1", "garden-2"):
        publisher.publish(version(name))
        device.sync()

    one, other = (device.installed.find(name).folder for name in ("garden-1", "garden-2"))
    assert not (one / "golden.npz").samefile(other / "golden.npz")


def test_models_that_somebody_else_put_there_stay(
    publisher: Publisher, device: Device, version: Version
) -> None:
    own = device.installed.folder / "own"
    shutil.copytree(version("own").folder, own)
    for name in ("garden-1", "garden-2", "garden-3"):
        publisher.publish(version(name))
        device.sync()

    assert ModelBundle.load(own).manifest.id == "own"
    assert len(device.installed.models()) == 4


def test_a_word_that_is_said_during_a_download_counts(
    publisher: Publisher, device: Device, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    publisher.publish(version("garden-2"))
    try_out = install.try_out

    def pinned_meanwhile(*arguments: Any) -> Any:
        with device.installed.changing() as state:
            state.pinned = True
        return try_out(*arguments)

    monkeypatch.setattr(install, "try_out", pinned_meanwhile)

    assert device.sync().state == "pinned"
    assert device.model == "garden-1"


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
    entry = bundle.manifest.golden
    partial = device.installed.folder / "sync" / "partial"
    partial.mkdir(parents=True)
    (partial / entry.sha256).write_bytes(bytes(500))

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


def test_a_publishers_wrong_clock_is_not_the_devices_fault(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"), published=datetime.now(UTC) + timedelta(days=40))

    assert device.sync().model == "garden-1"


def test_the_first_time_somebody_has_to_be_trusted(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    root, device.root = device.root, None

    with pytest.raises(SyncError, match="nothing is trusted yet: --root"):
        device.sync()
    device.root = root
    device.sync()
    device.root = None
    assert device.sync().state == "current"
    # A power cut left the newest root empty.
    history = device.installed.folder / "sync" / "root_history"
    (history / "2.root.json").write_bytes(b"")
    assert device.sync().state == "current"


def test_two_syncs_at_once_are_one(publisher: Publisher, device: Device, version: Version) -> None:
    publisher.publish(version("garden-1"))
    with (
        synchronise._alone(device.installed),
        pytest.raises(SyncError, match="another sync is under way"),
    ):
        device.sync()


def test_what_a_killed_sync_left_is_gone_after_the_next(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    (device.installed.folder / "sync").mkdir(parents=True)
    (device.installed.folder / "sync" / "tmpabc").write_bytes(b"of TUF")
    (device.installed.folder / ".draft-current-1").symlink_to("x")
    draft = device.installed.folder / ".draft-killed"
    draft.mkdir(parents=True)
    (draft / "model.onnx").write_bytes(b"half")
    partial = device.installed.folder / "sync" / "partial"
    partial.mkdir(parents=True)
    (partial / ("0" * 64)).write_bytes(b"of a model that was withdrawn")

    device.sync()

    assert not draft.exists() and not partial.exists()
    left = {path.name for path in device.installed.folder.rglob("*")}
    assert not {"tmpabc", ".draft-current-1"} & left


def test_an_earlier_clock_than_has_been_is_wrong(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    device.sync()
    with device.installed.changing() as state:
        state.latest = datetime.now(UTC) + timedelta(days=365)

    with pytest.raises(SyncError, match=r"clock: this machine's says .*, but it is "):
        device.sync()
