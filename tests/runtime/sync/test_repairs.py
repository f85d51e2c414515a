"""Whatever happened to the folder of models: the next sync leaves it whole."""

import shutil
from collections.abc import Callable

from publisher import Device, Publisher

from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.durable import draft_of
from birdedge.runtime.installed import CURRENT, INSIDE
from birdedge.runtime.model_state import STATE

Version = Callable[..., ModelBundle]


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


def test_what_a_killed_sync_left_is_gone_after_the_next(
    publisher: Publisher, device: Device, version: Version
) -> None:
    publisher.publish(version("garden-1"))
    (device.installed.folder / "sync").mkdir(parents=True)
    (device.installed.folder / "sync" / "tmpabc").write_bytes(b"of TUF")
    drafts = [draft_of(device.installed.folder / name) for name in (CURRENT, STATE)]
    for path in drafts:
        path.symlink_to("x")
    draft = device.installed.folder / ".draft-killed"
    draft.mkdir(parents=True)
    (draft / "model.onnx").write_bytes(b"half")
    partial = device.installed.folder / "sync" / "partial"
    partial.mkdir(parents=True)
    (partial / ("0" * 64)).write_bytes(b"of a model that was withdrawn")

    device.sync()

    assert not draft.exists() and not partial.exists()
    left = {path.name for path in device.installed.folder.rglob("*")}
    assert not {"tmpabc", *(path.name for path in drafts)} & left
