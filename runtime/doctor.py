"""What may be wrong with a machine that is to name birds, and what to do about each of it."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Literal

from . import machine
from .bundle import ModelBundle
from .credentials import without_credentials
from .errors import BirdedgeError, MissingExtraError
from .golden import self_test
from .sightings.database import NAME, check_writable, read_database
from .sources.cameras import camera_frames, kind_of

_CAMERA_SECONDS = 35.0
"""Some cameras send a whole picture only every ten or twenty seconds; see `StreamSource`."""

_LITTLE_SPACE, _NO_SPACE = 2e9, 2e8
_WARM, _HOT = 70.0, 80.0

State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: of it.
        state: how it is.
        detail: what was found.
        advice: what to do, where it is not well.
    """

    name: str
    state: State
    detail: str
    advice: str = ""


@dataclass(frozen=True)
class Patient:
    """What is looked at.

    Attributes:
        model: a bundle's folder.
        camera: see `kind_of`; those that are connected if not given.
        store: where sightings are kept, or will be.
        root: of the file system that tells of the machine.
    """

    model: Path
    camera: str | None
    store: Path
    root: Path = Path("/")


def examine(patient: Patient) -> Iterator[Finding]:
    """Look at everything, one after another; what fails is a finding too."""
    for name, look in _CHECKS.items():
        try:
            yield from look(patient)
        except BirdedgeError as error:
            yield Finding(name, "failure", str(error), _ADVICE.get(name, ""))
        # Whatever is wrong with one thing, the others are looked at.
        except Exception as error:
            yield Finding(
                name, "failure", f"{type(error).__name__}: {error}", _ADVICE.get(name, "")
            )


def _python(_: Patient) -> Iterator[Finding]:
    bits = 64 if sys.maxsize > 2**32 else 32
    detail = f"{platform.python_version()}, {platform.machine()}, {bits} bits"
    if bits == 32:
        advice = "the engines have no 32-bit packages; install the 64-bit Raspberry Pi OS"
        yield Finding("python", "failure", detail, advice)
        return
    yield Finding("python", "ok", detail)


def _processor(patient: Patient) -> Iterator[Finding]:
    features = machine.processor_features(patient.root)
    fast = {"asimddp": "dot products", "avx512_vnni": "VNNI", "avx_vnni": "VNNI"}
    found = sorted({what for feature, what in fast.items() if feature in features})
    detail = f"{machine.model_name(patient.root)}, {os.cpu_count()} cores"
    if found:
        yield Finding("processor", "ok", f"{detail}, fast INT8 ({', '.join(found)})")
    elif features & {"asimd", "avx2"}:
        yield Finding("processor", "ok", f"{detail}; INT8 is no faster than float here")
    else:
        advice = "a Raspberry Pi 3 or later, or a processor with AVX2, is fast enough"
        yield Finding("processor", "warning", f"{detail}, without vector instructions", advice)


def _engines(_: Patient) -> Iterator[Finding]:
    packages = {
        "onnxruntime": "",
        "openvino": "openvino",
        "ai-edge-litert": "tflite",
        "ncnn": "ncnn",
    }
    for package, extra in packages.items():
        try:
            yield Finding("engine", "ok", f"{package} {version(package)}")
        except PackageNotFoundError:
            if not extra:
                raise
            # Bundles with a target for it only gain speed.
            yield Finding(
                "engine", "ok", f"{package} is not installed (pip install 'birdedge[{extra}]')"
            )


def _model(patient: Patient) -> Iterator[Finding]:
    bundle = ModelBundle.load(patient.model)
    passed = 0
    for target in bundle.manifest.targets:
        try:
            result = self_test(bundle, target, threads=1)
        except MissingExtraError:
            continue
        passed += result.passed
        state: State = "ok" if result.passed else "failure"
        detail = (
            f"{bundle.manifest.id}, {target}: self-test {'passed' if result.passed else 'failed'}"
        )
        yield Finding("model", state, detail, "" if result.passed else _ADVICE["model"])
    if not passed:
        yield Finding(
            "model",
            "failure",
            f"none of {bundle.manifest.id}'s targets runs here",
            _ADVICE["model"],
        )


def _camera(patient: Patient) -> Iterator[Finding]:
    if patient.camera is None:
        yield from _connected_cameras(patient.root)
        return
    name = without_credentials(patient.camera)
    if kind_of(patient.camera) == "dir":
        yield Finding("camera", "ok", f"{name} is a folder")
        return
    with closing(camera_frames(patient.camera, _CAMERA_SECONDS)) as frames:
        for frame in islice(frames, 1):
            height, width = frame.pixels.shape[:2]
            dark = "" if frame.pixels.mean() > 8 else ", but all is dark"
            advice = "is the lens covered, or is it night?" if dark else ""
            yield Finding(
                "camera",
                "warning" if dark else "ok",
                f"{name} gives {width} x {height} pixels{dark}",
                advice,
            )
            return
    yield Finding(
        "camera", "failure", f"{name} gave no frame in {_CAMERA_SECONDS:g} s", _ADVICE["camera"]
    )


def _connected_cameras(root: Path) -> Iterator[Finding]:
    devices = machine.cameras(root)
    closed = [device for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if closed:
        advice = "sudo usermod -aG video $USER, then log in again"
        yield Finding("camera", "failure", f"{closed[0]} is not yours to use", advice)
    elif devices:
        yield Finding("camera", "ok", f"{', '.join(map(str, devices))}; --camera tries one")
    else:
        advice = "plug one in, or try a network camera with --camera rtsp://..."
        yield Finding("camera", "warning", "none is connected by USB", advice)


def _store(patient: Patient) -> Iterator[Finding]:
    store = patient.store
    place = _nearest_folder(store)
    closed = [
        path for path in (place, store / NAME) if path.exists() and not os.access(path, os.W_OK)
    ]
    if closed:
        # Never of a folder above it: that would be the whole system's.
        allow = "sudo chown -R $USER" if store.exists() else "sudo install -d -o $USER"
        yield Finding(
            "store",
            "failure",
            f"{closed[0]} is {_owner(closed[0])}'s, and not yours to write to",
            f"{allow} {store}, or another --store",
        )
    elif store.is_file():
        yield Finding("store", "failure", f"{store} is a file", "name a folder with --store")
    elif not (store / NAME).is_file():
        yield Finding("store", "ok", f"{store}, where nothing is kept yet")
    else:
        with read_database(store) as connection:
            (count,) = connection.execute("SELECT COUNT(*) FROM sightings").fetchone()
            check_writable(connection)
        yield Finding("store", "ok", f"{store}, {count:,} sightings")


def _disk(patient: Patient) -> Iterator[Finding]:
    free = shutil.disk_usage(_nearest_folder(patient.store)).free
    detail = f"{free / 1e9:,.1f} GB are free for {patient.store}"
    if free < _LITTLE_SPACE:
        advice = "a larger card, or a --store on another disk"
        yield Finding("disk", "failure" if free < _NO_SPACE else "warning", detail, advice)
    else:
        yield Finding("disk", "ok", detail)


def _nearest_folder(path: Path) -> Path:
    """The path itself, or the folder in which it will be made."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # of a user who is gone
        return f"user {path.stat().st_uid}"


def _clock(patient: Patient) -> Iterator[Finding]:
    now = datetime.now(UTC)
    detail = f"{now.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    advice = "connect it to the network and `sudo timedatectl set-ntp true`, or add a clock module"
    if now < ModelBundle.load(patient.model).manifest.created:
        yield Finding("clock", "failure", f"{detail}, before the model was made", advice)
    elif machine.clock_is_synchronised() is False:
        yield Finding("clock", "warning", f"{detail}, set by no time server", advice)
    else:
        yield Finding("clock", "ok", detail)


def _temperature(patient: Patient) -> Iterator[Finding]:
    degrees = machine.temperature(patient.root)
    if degrees is None:
        yield Finding("temperature", "ok", "not told by this machine")
    elif degrees >= _WARM:
        advice = "shade, a heat sink or a fan; above 75 degrees fewer frames are looked at"
        state: State = "failure" if degrees >= _HOT else "warning"
        yield Finding("temperature", state, f"{degrees:.0f} degrees Celsius", advice)
    else:
        yield Finding("temperature", "ok", f"{degrees:.0f} degrees Celsius")
    for reason in machine.throttling(patient.root):
        advice = "the official power supply and a short cable" if "power" in reason else "cool it"
        yield Finding("throttling", "warning", reason, advice)


_CHECKS: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "python": _python,
    "processor": _processor,
    "engine": _engines,
    "model": _model,
    "camera": _camera,
    "store": _store,
    "disk": _disk,
    "clock": _clock,
    "temperature": _temperature,
}

_ADVICE = {
    "engine": "install birdedge again: pip install --force-reinstall birdedge",
    "model": "install birdedge, or this bundle, again",
    "camera": "is it powered, connected and free? a Pi's own needs what docs/raspberry-pi.md says",
    "store": "birdedge sets a damaged database aside at its next start; a full disk needs space",
}
"""What to do where a check itself fails."""
