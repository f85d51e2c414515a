"""The energy that a machine takes, where it can say: by RAPL (Intel, AMD) or an INA219 sensor."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

_ROOT = Path("/")

_POWER_SECONDS = 0.02


class EnergyMeter:
    """Joules since it was made, of the whole processor or board.

    Args:
        source: what it reads, as it is told in reports.
        read: joules, counted from anywhere, less than ``wraps_at``.
        wraps_at: where the count begins anew.
    """

    def __init__(self, source: str, read: Callable[[], float], wraps_at: float) -> None:
        self.source = source
        self._read = read
        self._wraps_at = wraps_at
        self._last = read()
        self._total = 0.0

    def joules(self) -> float | None:
        """How many until now; none where the meter fails."""
        try:
            now = self._read()
        except (OSError, ValueError):
            return None
        passed = now - self._last
        self._total += passed if passed >= 0 else passed + self._wraps_at
        self._last = now
        return self._total


def find_meter(root: Path = _ROOT) -> EnergyMeter | None:
    """The machine's meter; none where there is none that may be read (RAPL is root's alone).

    Args:
        root: of the file system; another one in tests.
    """
    for zone in sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]")):
        try:
            most = _number(zone / "max_energy_range_uj") / 1e6
            return EnergyMeter("RAPL", partial(_millionths, zone / "energy_uj"), most)
        except (OSError, ValueError):
            continue
    for sensor in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        try:
            if (sensor / "name").read_text(encoding="ascii").strip() == "ina219":
                power = _Integrated(sensor / "power1_input")
                return EnergyMeter("INA219", power.joules, float("inf"))
        except (OSError, ValueError):
            continue
    return None


class _Integrated:
    """Energy of a sensor that tells power: read fifty times a second, by the trapezoidal rule.

    It is what is done between two questions that counts, so it must be read meanwhile.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._joules = 0.0
        self._last = time.monotonic(), _millionths(file)
        threading.Thread(target=self._go_on, name="power", daemon=True).start()

    def joules(self) -> float:
        with self._lock:
            now = time.monotonic(), _millionths(self._file)
            self._joules += (now[0] - self._last[0]) * (now[1] + self._last[1]) / 2
            self._last = now
            return self._joules

    def _go_on(self) -> None:
        with suppress(OSError, ValueError):
            while True:
                time.sleep(_POWER_SECONDS)
                self.joules()


def _millionths(file: Path) -> float:
    """Sysfs has microjoules and microwatts."""
    return _number(file) / 1e6


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))
