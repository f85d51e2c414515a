"""birdedge as a systemd service: its unit and settings, written, started, and asked how they do."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path

from .durable import atomic_write
from .errors import ServiceError

UNIT = "birdedge.service"
SYNC, TIMER = "birdedge-sync.service", "birdedge-sync.timer"

_WHERE = {"BIRDEDGE_ROI", "BIRDEDGE_ZONES"}
"""Where in a frame to look: one or the other."""

_SYNC_FROM = "BIRDEDGE_SYNC_FROM"

_NAMES = re.compile(r"BIRDEDGE_[A-Z_]+|GOOGLE_APPLICATION_CREDENTIALS|(https?|no)_proxy")


def unit(program: Path | None = None, user: str | None = None, name: str = UNIT) -> str:
    """The text of a unit.

    Args:
        program: the command to run; this one if not given.
        user: whose rights it has; who called `sudo`, or is here, if not given.
        name: of the unit: that which watches, that which syncs, or its timer.
    """
    text = (resources.files("birdedge") / "deploy" / "systemd" / name).read_text(encoding="utf-8")
    program = program or _this_program()
    user = user or os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    return text.replace("@BIRDEDGE@", _quoted(program)).replace("@USER@", user)


def _quoted(program: Path) -> str:
    """A path as a unit's command line has it: systemd minds spaces, percent signs and dollars."""
    path = str(program).replace("%", "%%").replace("$", "$$")
    if not re.search(r"[\s\"'\\]", path):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def settings(values: Mapping[str, str]) -> str:
    """The settings' text, for systemd's ``EnvironmentFile``.

    Raises:
        ServiceError: a name is none of birdedge's, or a value has a line break.
    """
    for name, value in values.items():
        if not _NAMES.fullmatch(name):
            raise ServiceError(f"{name} is no setting of birdedge; BIRDEDGE_MQTT, say, is")
        if name == "BIRDEDGE_STORE":
            raise ServiceError(
                "a service keeps its sightings in /var/lib/birdedge, which is its own"
            )
        if name == "BIRDEDGE_MODELS":
            raise ServiceError("a service keeps its models in /var/lib/birdedge/models")
        if not value.isprintable():
            raise ServiceError(f"{name} holds a line break or another control character")
    escaped = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`"})
    return "".join(f'{name}="{value.translate(escaped)}"\n' for name, value in values.items())


def install(camera: str, values: Mapping[str, str], root: Path = Path("/")) -> None:
    """Write unit and settings, and start the service now and at each start of the machine.

    Settings that are there already and not given stay, but where to look is one or the other of
    ``BIRDEDGE_ROI`` and ``BIRDEDGE_ZONES``. Where ``BIRDEDGE_SYNC_FROM`` is among them, a timer
    brings new models, too.

    Args:
        camera: what it watches.
        values: further settings, by their names in the environment.
        root: of the file system; another one is only written to.

    Raises:
        ServiceError: only root may do that, or systemd does not want to.
    """
    folder = root / "etc" / "birdedge"
    file = folder / "birdedge.env"
    values = {"BIRDEDGE_CAMERA": camera, **values}
    given = settings(values)
    try:
        text = _other_lines(file, {*values, *_given_up(values)}) + given
        folder.mkdir(parents=True, exist_ok=True)
        _write(file, text, mode=0o600)
        syncs = any(line.startswith(f"{_SYNC_FROM}=") for line in text.splitlines())
        units = (UNIT, SYNC, TIMER) if syncs else (UNIT,)
        for name in units:
            _write(root / "etc" / "systemd" / "system" / name, unit(name=name), mode=0o644)
    except PermissionError as error:
        raise ServiceError(
            f"{error.filename} is root's; `sudo {_this_program()} service install ...` may write it"
        ) from error
    except OSError as error:
        raise ServiceError(f"cannot write {error.filename}: {error.strerror}") from error
    if root == Path("/"):
        _systemctl("daemon-reload")
        _systemctl("enable", UNIT)
        # It is ready when the camera gives a frame, which is not waited for.
        _systemctl("restart", "--no-block", UNIT)
        if syncs:
            _systemctl("enable", "--now", TIMER)
        elif (root / "etc" / "systemd" / "system" / TIMER).exists():
            _systemctl("disable", "--now", TIMER)


def status() -> dict[str, str]:
    """What systemd knows of the service: ``ActiveState``, ``StatusText``, ``NRestarts`` and more.

    Raises:
        ServiceError: there is no systemd here.
    """
    properties = "LoadState,ActiveState,SubState,StatusText,NRestarts,ActiveEnterTimestamp"
    lines = _systemctl("show", UNIT, "--property", properties).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _this_program() -> Path:
    beside = Path(sys.executable).with_name("birdedge")
    found = shutil.which("birdedge")
    return beside if beside.exists() or found is None else Path(found)


def _given_up(values: Mapping[str, str]) -> set[str]:
    """Settings that cannot be had with what is given."""
    return _WHERE if _WHERE & values.keys() else set()


def _other_lines(file: Path, values: Collection[str]) -> str:
    """What is in the file already, by hand or by this, but for what is given anew."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return ""
    kept = [line for line in lines if line.partition("=")[0].strip() not in values]
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in kept)


def _write(file: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never readable to others for a moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as draft:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as written:
            written.write(text)
        draft.chmod(mode)


def _systemctl(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *arguments], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError as error:
        raise ServiceError("no systemd here; `birdedge service print` shows the unit") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceError("systemd does not answer") from error
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["it failed"]
        raise ServiceError(f"systemctl {arguments[0]}: {reason[0]}")
    return done.stdout
