"""What a small computer says of itself: temperature, throttling, processor, clock."""

import platform
import subprocess
from pathlib import Path

_ROOT = Path("/")

_THERMAL = "sys/class/thermal"
_THROTTLED = "sys/devices/platform/soc*/soc*:firmware/get_throttled"
"""``soc`` alone, or with its address, as the device tree has it."""

_NO_CAMERAS = ("bcm2835-codec", "bcm2835-isp", "pispbe", "rpi-hevc-dec", "rpivid")

_UNDER_VOLTAGE, _SLOWED, _THROTTLED_NOW, _TOO_WARM = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_SINCE_BOOT = 16
"""Bits of `get_throttled`; those since the machine was started are so many places higher. See
"vcgencmd" in the Raspberry Pi documentation."""


def temperature(root: Path = _ROOT) -> float | None:
    """The processor's temperature in degrees Celsius; none where it is not told."""
    zones = sorted((root / _THERMAL).glob("thermal_zone*"))
    by_kind = {_text(zone / "type"): zone for zone in reversed(zones)}
    # Where there are several, the processor's; x86 calls it otherwise.
    for kind in ("cpu-thermal", "x86_pkg_temp", *by_kind):
        if kind in by_kind:
            value = _text(by_kind[kind] / "temp")
            if value.lstrip("-").isdecimal():
                return int(value) / 1000
    return None


def is_slowed(root: Path = _ROOT) -> bool:
    """Whether its firmware slows a Raspberry Pi down now; false elsewhere."""
    return bool(_firmware_bits(root) & (_SLOWED | _THROTTLED_NOW | _TOO_WARM))


def throttling(root: Path = _ROOT) -> list[str]:
    """What slows a Raspberry Pi down, or did since it was started; empty elsewhere."""
    bits = _firmware_bits(root)
    reasons = {
        _UNDER_VOLTAGE: "the power supply is too weak",
        _TOO_WARM: "it is too warm",
        _THROTTLED_NOW: "it is throttled",
        _SLOWED: "its frequency is capped",
    }
    return [
        f"{reason}{'' if bits & bit else ', or was since the start'}"
        for bit, reason in reasons.items()
        if bits & (bit | bit << _SINCE_BOOT)
    ]


def _firmware_bits(root: Path) -> int:
    text = next((_text(path) for path in root.glob(_THROTTLED)), "")
    try:
        return int(text, 16)
    except ValueError:
        return 0


def processor_features(root: Path = _ROOT) -> set[str]:
    """Names of the processor's features, as Linux has them."""
    for line in _text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


def model_name(root: Path = _ROOT) -> str:
    """``Raspberry Pi 5 Model B Rev 1.0``, or what the processor is elsewhere."""
    board = _text(root / "proc/device-tree/model").rstrip("\0")
    if board:
        return board
    for line in _text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def cameras(root: Path = _ROOT) -> list[Path]:
    """Devices of cameras; a Raspberry Pi's own codecs and image processors are none."""
    devices = sorted((root / "dev").glob("video*"))
    names = {
        device: _text(root / "sys/class/video4linux" / device.name / "name") for device in devices
    }
    return [device for device, name in names.items() if not name.startswith(_NO_CAMERAS)]


def clock_is_synchronised() -> bool | None:
    """Whether a time server sets the clock; none where nobody can say."""
    try:
        done = subprocess.run(
            ["timedatectl", "show", "--property", "NTPSynchronized", "--value"],
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() == "yes"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
