"""`birdedge keys`, `publish`, `sync`, `models` and `fleet`, as people run them."""

import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from publisher import renamed
from servers.web import WebServer
from typer.testing import CliRunner

from birdedge.cli import app
from birdedge.runtime.bundle import ModelBundle
from birdedge.runtime.errors import SyncError

Birdedge = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def repository(birdedge: Birdedge, tmp_path: Path, bundle: ModelBundle) -> str:
    """A repository that was begun by hand, with garden-1 published."""
    begun = birdedge("keys", "init", "--to", "repository")
    assert (begun.returncode, begun.stdout) == (0, "keys/root.json\n"), begun.stderr
    renamed(bundle, tmp_path / "garden-1", "garden-1")
    done = birdedge("publish", "garden-1", "--to", "repository", "--max-slowdown", "1000")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch("[0-9a-f]{64}\n", done.stdout)
    assert "garden-1 is published to stable for 100 % of the devices" in done.stderr
    return "repository"


def test_from_first_key_to_first_bird(birdedge: Birdedge, repository: str, tmp_path: Path) -> None:
    root = ["--root", "keys/root.json"]
    first = birdedge("sync", repository, *root)
    second = birdedge("sync", repository, "--json")
    listed = birdedge("models", "list", "--json")

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("garden-1 takes the place of mobilenetv2_100-")
    assert json.loads(second.stdout)["state"] == "current"
    models = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [model["id"] for model in models if model["in_use"]] == ["garden-1"]
    described = birdedge("models", "info", "--json")
    assert json.loads(described.stdout)["id"] == "garden-1"
    named = birdedge("classify", "--json", str(red_picture(tmp_path)))
    assert json.loads(named.stdout)["model_version"] == "garden-1"


def red_picture(folder: Path) -> Path:
    from PIL import Image

    path = folder / "red.png"
    Image.new("RGB", (64, 64), "#d01010").save(path)
    return path


def test_a_damaged_model_is_no_reason_to_name_no_birds(
    birdedge: Birdedge, repository: str, tmp_path: Path
) -> None:
    birdedge("sync", repository, "--root", "keys/root.json")
    (folder,) = (tmp_path / "data" / "birdedge" / "models").glob("garden-1-*")
    (folder / "golden.npz").write_bytes(b"x")

    named = birdedge("classify", "--json", str(red_picture(tmp_path)))

    assert named.returncode == 0
    assert json.loads(named.stdout)["model_version"].startswith("mobilenetv2_100-")
    assert "the model in use is of no use: " in named.stderr
    mended = birdedge("sync", repository, "--json")
    assert json.loads(mended.stdout)["state"] == "updated"
    named = birdedge("classify", "--json", str(red_picture(tmp_path)))
    assert json.loads(named.stdout)["model_version"] == "garden-1"
    (folder / "manifest.json").write_text("{")
    listed = birdedge("models", "list")
    assert listed.returncode == 1
    assert "garden-1" in listed.stdout + listed.stderr


def test_models_are_used_pinned_and_put_back_by_hand(
    birdedge: Birdedge, repository: str, tmp_path: Path
) -> None:
    birdedge("sync", repository, "--root", "keys/root.json")

    def in_use() -> str:
        lines = birdedge("models", "list", "--json").stdout.splitlines()
        return next(model["id"] for model in map(json.loads, lines) if model["in_use"])

    assert birdedge("models", "use", "inside").returncode == 0
    assert in_use().startswith("mobilenetv2_100-")
    assert birdedge("models", "pin").stdout.endswith("stays\n")
    assert birdedge("sync", repository, "--json").stdout.count('"pinned"') == 1
    assert birdedge("models", "use", "garden-1").stdout == "garden-1\n"
    birdedge("models", "pin", "--off")
    back = birdedge("models", "rollback", "--reason", "it sees jays everywhere")
    assert back.stdout.startswith("mobilenetv2_100-")
    assert "garden-1 is blocked: it sees jays everywhere" in birdedge("models", "list").stderr
    assert json.loads(birdedge("sync", repository, "--json").stdout)["state"] == "waiting"
    assert birdedge("models", "unblock", "garden-1").stdout == "garden-1\n"
    assert json.loads(birdedge("sync", repository, "--json").stdout)["state"] == "updated"
    nothing = birdedge("models", "use", "garden-9")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "'garden-9' is no model in " in nothing.stderr


def test_what_was_published_is_taken_back(birdedge: Birdedge, repository: str) -> None:
    birdedge("sync", repository, "--root", "keys/root.json")

    taken = birdedge("publish", "--to", "repository", "--withdraw", "garden-1")
    again = birdedge("publish", "--to", "repository", "--withdraw", "garden-1")
    synchronised = json.loads(birdedge("sync", repository, "--json").stdout)

    assert taken.returncode == 0
    assert taken.stderr == "garden-1 is withdrawn from stable\n"
    assert again.returncode == 1
    assert "'garden-1' is not one of stable's releases: none" in again.stderr
    assert synchronised["state"] == "updated"
    assert synchronised["model"].startswith("mobilenetv2_100-")


def test_outside_its_window_it_does_nothing(birdedge: Birdedge, repository: str) -> None:
    now = datetime.now()
    start, end = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (2, 3))

    done = birdedge("sync", repository, "--window", f"{start}-{end}")

    assert (done.returncode, done.stdout) == (0, "")
    assert f"outside the window {start}-{end}; nothing done" in done.stderr


def test_the_end_of_its_hours_is_no_failure_and_nothing_is_sent_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`test_download.py` has the download that such an end cuts off."""

    def cut_off(*_: object) -> None:
        raise SyncError("its hours are over; it goes on in the next ones", "closed")

    monkeypatch.setattr("birdedge.runtime.sync.synchronise.synchronise", cut_off)
    models = ["--models", str(tmp_path / "models")]
    done = CliRunner().invoke(app, ["sync", str(tmp_path), "--report", *models])

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "birdedge: its hours are over; it goes on in the next ones\n"
    assert not (tmp_path / "fleet").exists()


@pytest.mark.parametrize("option", ["--watch-hours", "--max-slowdown", "--max-ms", "--max-mb"])
def test_no_number_is_wrong_usage_before_anything_is_opened(
    birdedge: Birdedge, option: str
) -> None:
    done = birdedge("publish", "nowhere", "--to", "nowhere", option, "inf")

    assert done.returncode == 2
    assert "are no numbers" in done.stderr


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_a_share_that_is_no_number_is_wrong_usage(birdedge: Birdedge, number: str) -> None:
    done = birdedge("publish", "nowhere", "--to", "nowhere", "--percent", number)

    assert done.returncode == 2
    assert "Invalid value" in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["x", "--window", "noon"], "'noon' is no window"),
        (["x", "--channel", "a/b"], "letters, digits, - and _ alone"),
        (["x", "--limit-kb", "0"], "--limit-kb"),
        ([], "REPOSITORY"),
    ],
)
def test_wrong_usage_is_told(birdedge: Birdedge, options: list[str], told: str) -> None:
    done = birdedge("sync", *options)

    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["sync", "ftp://x"], "is no repository; gs://BUCKET/PREFIX"),
        (["sync", "gs://"], "names no bucket"),
        (["sync", "https://"], "names no server"),
        (["sync", "https://me:secret@[::1/x"], "is no address: Invalid IPv6 URL"),
        (["sync", "https://host:port/x"], "is no address: Port could not be cast"),
        (["sync", "nowhere"], "nothing is trusted yet: --root"),
        (["sync", "nowhere", "--root", "missing"], "cannot read missing"),
        (["sync", "nowhere", "--root", "bundle.json"], "is no root.json"),
        (["publish", "bundle", "--to", "nowhere"], "nowhere holds no repository"),
        (["publish", "bundle", "--to", "https://x"], "publish to a folder and copy that"),
        (["keys", "status", "--to", "nowhere"], "`birdedge keys init` begins one"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    birdedge: Birdedge, tmp_path: Path, command: list[str], told: str
) -> None:
    (tmp_path / "bundle.json").write_text("{}")

    done = birdedge(*command)

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert told in line


def test_a_proxy_that_is_none_is_one_line(birdedge: Birdedge) -> None:
    env = {"https_proxy": "socks5://me:secret@proxy"}
    done = birdedge("sync", "https://example.org/birds", env=env)

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "the proxy of this environment is of no use" in line and "secret" not in line


def test_models_that_cannot_be_written_are_one_line(
    birdedge: Birdedge, repository: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")

    done = birdedge("sync", repository, "--root", "keys/root.json", "--models", "file/models")

    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot write to file/models" in done.stderr


def test_keys_are_secret_and_may_have_a_passphrase(
    birdedge: Birdedge, tmp_path: Path, bundle: ModelBundle
) -> None:
    secret = {"BIRDEDGE_KEYS_PASSPHRASE": "robin"}
    birdedge("keys", "init", "--to", "repository", env=secret)
    key = tmp_path / "keys" / "stable.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in key.read_bytes()

    without = birdedge("keys", "renew", "--to", "repository")
    wrong = birdedge(
        "keys", "renew", "--to", "repository", env={"BIRDEDGE_KEYS_PASSPHRASE": "wren"}
    )
    right = birdedge("keys", "renew", "--to", "repository", env=secret)

    assert "is encrypted; BIRDEDGE_KEYS_PASSPHRASE is not set" in without.stderr
    assert "damaged, or another passphrase" in wrong.stderr
    assert (without.returncode, wrong.returncode, right.returncode) == (1, 1, 0)


def test_keys_are_shown_renewed_and_replaced(birdedge: Birdedge, repository: str) -> None:
    status = birdedge("keys", "status", "--to", repository)
    rotated = birdedge("keys", "rotate", "timestamp", "--to", repository)
    added = birdedge("keys", "add-channel", "beta", "--to", repository)
    again = birdedge("keys", "init", "--to", repository)

    assert status.returncode == 0
    assert [line.split()[0] for line in status.stdout.splitlines()[1:]] == [
        "root", "timestamp", "snapshot", "targets", "stable",
    ]  # fmt: skip
    assert (rotated.returncode, added.returncode) == (0, 0)
    assert birdedge("sync", repository, "--root", "keys/root.json").returncode == 0
    assert again.returncode == 1
    assert "there is a repository already" in again.stderr


def test_the_keeper_sees_the_fleet(birdedge: Birdedge, repository: str) -> None:
    silent = birdedge("fleet", "status", repository)
    birdedge("sync", repository, "--root", "keys/root.json", "--report")
    well = birdedge("fleet", "status", repository)
    birdedge("sync", repository, "--channel", "nightly", "--report")
    ill = birdedge("fleet", "status", repository, "--json")

    assert (silent.returncode, silent.stdout) == (0, "")
    assert "no device has reported" in silent.stderr
    assert well.returncode == 0
    assert "garden-1" in well.stdout and "(watched)" in well.stdout
    assert ill.returncode == 1
    beat = json.loads(ill.stdout)
    assert (beat["model"], beat["channel"]) == ("garden-1", "nightly")
    assert beat["sync"] == "failed"
    assert "its last sync: failed" in ill.stderr


def test_ctrl_c_ends_a_download_that_hangs_and_keeps_what_came(
    birdedge: Birdedge, repository: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with WebServer(tmp_path / repository) as web:
        birdedge("sync", web.url, "--root", "keys/root.json", "--channel", "none")
        web.bytes_per_second = 2000
        process = subprocess.Popen(
            [sys.executable, "-m", "birdedge", "sync", web.url],
            cwd=tmp_path, env=environment, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        partial = tmp_path / "data" / "birdedge" / "models" / "sync" / "partial"
        deadline = time.monotonic() + 30
        while not any(partial.glob("*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=10)

    assert process.returncode == 130
    assert b"Traceback" not in told
    assert any(partial.glob("*"))


def test_at_a_terminal_one_sees_how_far_it_has_come(
    birdedge: Birdedge, repository: str, environment: dict[str, str], tmp_path: Path
) -> None:
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "birdedge", "sync", repository, "--root", "keys/root.json"],
        cwd=tmp_path, env=environment | {"TERM": "xterm"}, stdout=subprocess.PIPE, stderr=its,
    )  # fmt: skip
    out, _ = process.communicate(timeout=60)
    os.close(its)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # all was read

    assert process.returncode == 0
    assert b"trying it" in shown
    assert out.startswith(b"garden-1 takes the place of")


def test_a_read_only_machine_with_one_writable_folder_is_enough(
    repository: str, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "writable").mkdir()
    script = (
        'mount --bind "$1" /mnt && mount -o remount,bind,ro / && mount -o bind,ro /tmp /tmp &&'
        ' mount --bind /mnt "$1" && ! touch /tmp/x 2>/dev/null && cd "$2" && shift 2 && exec "$@"'
    )
    inside = [
        "unshare", "--mount", "sh", "-c", script, "sh", tmp_path / "writable", tmp_path,
        sys.executable, "-m", "birdedge",
    ]  # fmt: skip
    env = environment | {"BIRDEDGE_MODELS": str(tmp_path / "writable" / "models")}

    def birdedge(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*inside, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    if birdedge("--version").returncode:
        pytest.skip("nothing may be mounted here")
    synced = birdedge("sync", repository, "--root", "keys/root.json")
    named = birdedge("classify", "--json", str(red_picture(tmp_path)))

    assert (synced.returncode, synced.stderr) == (0, "")
    assert json.loads(named.stdout)["model_version"] == "garden-1"
