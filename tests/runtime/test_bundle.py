"""A bundle is loaded whole and unchanged, or refused with the reason."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from birdedge.runtime.bundle import (
    MANIFEST,
    ModelBundle,
    check_place,
    new_bundle,
    read_manifest,
    write_manifest,
)
from birdedge.runtime.bundle_report import print_info
from birdedge.runtime.errors import BundleError


@pytest.fixture
def copy(bundle: ModelBundle, tmp_path: Path) -> Path:
    """A bundle to damage."""
    return Path(shutil.copytree(bundle.folder, tmp_path / "copy"))


def change(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | changes))


def test_a_manifest_reads_as_it_was_written(bundle: ModelBundle, tmp_path: Path) -> None:
    write_manifest(tmp_path, bundle.manifest)

    assert read_manifest(tmp_path / MANIFEST) == bundle.manifest


def test_a_bundle_may_be_moved(bundle: ModelBundle, copy: Path) -> None:
    moved = ModelBundle.load(copy.rename(copy.with_name("elsewhere")))

    assert moved.manifest == bundle.manifest
    assert moved.digest() == bundle.digest()
    assert moved.target_files("onnx-fp32") == (moved.folder / "model.onnx",)


def test_an_unknown_target_is_answered_with_the_known_ones(bundle: ModelBundle) -> None:
    with pytest.raises(BundleError, match="no target 'onnx-int4'; it has onnx-fp32"):
        bundle.target_files("onnx-int4")


def test_a_missing_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no model bundle at .*/nowhere"):
        ModelBundle.load(tmp_path / "nowhere")


def test_a_model_file_in_place_of_a_bundle_is_told_of_import(copy: Path) -> None:
    with pytest.raises(BundleError, match=r"model\.onnx is a file.*birdedge models import"):
        ModelBundle.load(copy / "model.onnx")


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_one_changed_byte_is_found(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)

    with pytest.raises(BundleError, match=rf"{name} is damaged or was changed"):
        ModelBundle.load(copy)


def test_another_size_is_told_in_bytes(copy: Path) -> None:
    size = (copy / "model.onnx").stat().st_size
    (copy / "model.onnx").write_bytes(b"short")

    with pytest.raises(BundleError, match=rf"has 5 bytes instead of {size:,}; install"):
        ModelBundle.load(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "golden.npz").unlink()

    with pytest.raises(BundleError, match=r"golden\.npz is missing"):
        ModelBundle.load(copy)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"id": "x"}'])
def test_a_manifest_that_is_none_is_refused(copy: Path, content: bytes) -> None:
    (copy / MANIFEST).write_bytes(content)

    with pytest.raises(BundleError, match=r"manifest\.json: "):
        ModelBundle.load(copy)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "garden\x1b[2J"),
        ("license", "free\nbirdedge: all is well"),
        ("labels", [{"scientific_name": "Parus major", "family": "Paridae (tit\x9b2J)"}]),
        ("targets", {"onnx\x07": {}}),
    ],
)
def test_text_that_a_terminal_would_obey_is_refused(copy: Path, field: str, value: Any) -> None:
    change(copy, **{field: value})

    with pytest.raises(BundleError, match=rf"manifest\.json: {field}.*U\+.* cannot be printed"):
        ModelBundle.load(copy)


def test_an_endless_manifest_is_not_read(copy: Path) -> None:
    with (copy / MANIFEST).open("wb") as file:
        file.truncate(17 * 2**20)

    with pytest.raises(BundleError, match="larger than any manifest"):
        ModelBundle.load(copy)


def test_a_manifest_of_the_future_asks_for_an_update(copy: Path) -> None:
    change(copy, schema_version=2)

    with pytest.raises(BundleError, match="schema version 2 is not 1; update birdedge"):
        ModelBundle.load(copy)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", ".hidden", "a\\b", ""])
def test_a_file_outside_the_folder_is_refused(copy: Path, name: str) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    change(copy, golden=manifest["golden"] | {"name": name})

    with pytest.raises(BundleError, match=r"golden\.name"):
        ModelBundle.load(copy)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", 0),
        ("unknown_threshold", 1.5),
        ("unknown_threshold", float("nan")),
        ("temperature", 1e-320),
        ("created", "2026-01-01T00:00:00"),
        ("created", "0001-01-01T00:00:00+09:00"),
        ("labels", []),
        ("targets", {}),
        ("surprise", 1),
    ],
)
def test_impossible_values_are_refused_by_name(copy: Path, field: str, value: object) -> None:
    change(copy, **{field: value})

    with pytest.raises(BundleError, match=field):
        ModelBundle.load(copy)


def test_a_tolerance_without_bounds_is_refused(copy: Path) -> None:
    targets = json.loads((copy / MANIFEST).read_text())["targets"]
    targets["onnx-fp32"]["golden_tolerance"] = float("inf")
    change(copy, targets=targets)

    with pytest.raises(BundleError, match="golden_tolerance"):
        ModelBundle.load(copy)


@pytest.mark.parametrize(
    ("field", "value"),
    [("std", 1e-320), ("std", 1e300), ("std", 0), ("mean", 1e300), ("mean", float("nan"))],
)
def test_a_scale_that_leaves_no_pixel_is_refused(copy: Path, field: str, value: float) -> None:
    preprocess = json.loads((copy / MANIFEST).read_text())["preprocess"]
    change(copy, preprocess=preprocess | {field: [0.5, value, 0.5]})

    with pytest.raises(BundleError, match=rf"preprocess\.{field}\.1"):
        ModelBundle.load(copy)


@pytest.mark.parametrize("field", ["top1", "low", "high", "samples", "expected_calibration_error"])
@pytest.mark.parametrize("value", [float("nan"), -3, 5])
def test_an_accuracy_that_is_no_share_is_refused(copy: Path, field: str, value: float) -> None:
    targets = json.loads((copy / MANIFEST).read_text())["targets"]
    accuracy = {"top1": 0.9, "low": 0.8, "high": 1.0, "samples": 40}
    targets["onnx-fp32"]["accuracy"] = accuracy
    change(copy, targets=targets)
    assert ModelBundle.load(copy)
    targets["onnx-fp32"]["accuracy"] = accuracy | {field: value}
    change(copy, targets=targets)

    if (field, value) == ("samples", 5):
        assert ModelBundle.load(copy)
    else:
        with pytest.raises(BundleError, match=rf"accuracy\.{field}"):
            ModelBundle.load(copy)


def test_a_moment_is_shown_in_utc(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(copy, created="2026-01-01T00:00:00+09:00")

    print_info(ModelBundle.load(copy))

    assert "2025-12-31 15:00 UTC" in capsys.readouterr().out


def test_a_new_bundle_appears_when_the_block_ends(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "new"
    with new_bundle(place) as draft:
        (draft / "file").write_text("content")
        assert not place.exists()

    assert (place / "file").read_text() == "content"
    assert [path.name for path in place.parent.iterdir()] == ["new"]


@pytest.mark.parametrize("end", [RuntimeError, KeyboardInterrupt])
def test_a_failed_bundle_leaves_nothing_behind(tmp_path: Path, end: type[BaseException]) -> None:
    with pytest.raises(end), new_bundle(tmp_path / "new") as draft:
        (draft / "file").write_text("content")
        raise end

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", [RuntimeError, KeyboardInterrupt])
def test_a_failed_replacement_leaves_the_older_bundle(copy: Path, end: type[BaseException]) -> None:
    with pytest.raises(end), new_bundle(copy, overwrite=True):
        raise end

    assert ModelBundle.load(copy)
    assert list(copy.parent.iterdir()) == [copy]


def test_an_existing_bundle_is_replaced_only_when_asked(copy: Path) -> None:
    with pytest.raises(BundleError, match="exists already"), new_bundle(copy):
        pytest.fail("the block must not run")
    with new_bundle(copy, overwrite=True) as draft:
        (draft / "file").write_text("newer")

    assert [path.name for path in copy.iterdir()] == ["file"]
    assert list(copy.parent.iterdir()) == [copy]


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bird.jpg").write_bytes(b"dear")

    with (
        pytest.raises(BundleError, match="is not a bundle; it will not be overwritten"),
        new_bundle(tmp_path / "photos", overwrite=True),
    ):
        pytest.fail("the block must not run")

    assert (tmp_path / "photos" / "bird.jpg").read_bytes() == b"dear"


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with (
        pytest.raises(BundleError, match="cannot write"),
        new_bundle(tmp_path / "file" / "bundle"),
    ):
        pytest.fail("the block must not run")


def test_a_disk_that_cannot_be_written_to_is_not_called_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(BundleError, match="Permission denied"):
        check_place(tmp_path / "bundle")
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    with pytest.raises(BundleError, match="Read-only file system"):
        check_place(tmp_path / "bundle")


@pytest.mark.parametrize("name", [MANIFEST, "model.onnx"])
def test_a_pipe_is_not_waited_for(copy: Path, name: str) -> None:
    if name != MANIFEST:
        manifest = json.loads((copy / MANIFEST).read_text())
        manifest["targets"]["onnx-fp32"]["files"][0]["bytes"] = 0
        change(copy, targets=manifest["targets"])
    (copy / name).unlink()
    os.mkfifo(copy / name)
    load = f"from birdedge.runtime.bundle import *; ModelBundle.load(Path({str(copy)!r}))"

    # In a process of its own, which can be ended.
    done = subprocess.run(
        [sys.executable, "-c", load], capture_output=True, text=True, timeout=60, check=False
    )

    assert f"{name} is no regular file" in done.stderr


@pytest.mark.parametrize("moment", [1, 2])
def test_an_interruption_between_two_renames_leaves_one_bundle(
    copy: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    rename, renamed = Path.rename, []

    def interrupted(path: Path, target: Path) -> Path:
        moved = rename(path, target)
        renamed.append(path)
        if len(renamed) == moment:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), new_bundle(copy, overwrite=True) as draft:
        (draft / "file").write_text("newer")

    assert (copy / ("file" if moment == 2 else MANIFEST)).exists()
    assert list(copy.parent.iterdir()) == [copy]


def test_an_older_bundle_that_was_replaced_does_not_come_back(tmp_path: Path) -> None:
    """What was killed while it removed that, after all was done."""
    place = tmp_path / "model"
    rest = tmp_path / ".model-0123abcd.draft" / "old"
    rest.mkdir(parents=True)
    (rest / MANIFEST).write_text("{}")

    with new_bundle(place) as draft:
        (draft / "file").write_text("newest")

    assert (place / "file").read_text() == "newest"
    assert list(tmp_path.iterdir()) == [place]


def test_what_was_killed_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    place = tmp_path / "model"
    killed = (
        "import os, signal\nfrom pathlib import Path\nfrom birdedge.runtime.bundle import *\n"
        f"with new_bundle(Path({str(place)!r}), overwrite=True):\n"
        "    {before}; os.kill(os.getpid(), signal.SIGKILL)"
    )
    place.mkdir()
    (place / MANIFEST).write_text("{}")
    aside = f"os.rename({str(place)!r}, next(Path({str(tmp_path)!r}).glob('.model-*')) / 'old')"
    for before in ("pass", aside):
        program = killed.format(before=before)
        done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".model-*"))) == 1  # the second one cleared the first away
    assert not place.exists()
    other = tmp_path / ".model-others"
    other.mkdir()

    with new_bundle(tmp_path / "elsewhere"):
        pass
    with pytest.raises(BundleError, match="exists already"), new_bundle(place):
        pytest.fail("the older one is back")

    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "elsewhere", "model"]


def test_what_another_process_is_making_is_left_to_it(tmp_path: Path) -> None:
    with new_bundle(tmp_path / "model") as draft:
        (draft / "file").write_text("first")
        with pytest.raises(RuntimeError), new_bundle(tmp_path / "model"):
            raise RuntimeError

        assert (draft / "file").read_text() == "first"
