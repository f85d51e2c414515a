"""The machine that figures come from, and what was wrong with it when they were measured."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..runtime import machine
from ..train.provenance import git_commit

_ROOT = Path("/")
_GOVERNOR = "sys/devices/system/cpu/cpufreq/policy*/scaling_governor"

_TOLD = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8",
    "asimd", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip
"""Features of processors that decide how fast networks run."""

_PACKAGES = (
    "birdedge", "numpy", "onnxruntime", "openvino", "ai-edge-litert", "tflite-runtime", "ncnn",
    "torch",
)  # fmt: skip

_NOT_VERSION = re.compile(r"[^\d.].*")
"""Of a kernel; what its builder added says nothing about speed."""

_BUSY_SHARE = 0.1
_SLOWER_SHARE = 0.9
_HOT = 80.0


class State(BaseModel):
    """What changes while a machine works.

    Attributes:
        at: when, in UTC.
        megahertz: of each core; empty where it is not told.
        celsius: the processor's temperature; none where it is not told.
        throttling: what slows it down, in words.
        load: processes that want to run, in the last minute.
        busy: share of all cores that others used in a second of waiting.
    """

    model_config = ConfigDict(frozen=True)

    at: datetime
    megahertz: tuple[float, ...]
    celsius: float | None
    throttling: tuple[str, ...]
    load: float
    busy: float


class Environment(BaseModel):
    """A machine, before and after a run.

    Attributes:
        processor: its name, or the board's.
        architecture: ``x86_64``, ``aarch64``.
        cores: that the run may use.
        features: of the processor, those that matter for networks.
        governor: of its frequency; none where there is none.
        memory_megabytes: in all, in 10^6 bytes.
        system: the kernel's name and version.
        python: the interpreter's version.
        packages: versions of what is installed.
        commit: of birdedge's repository; empty where it is not run from one.
        before: the run.
        after: the run.
    """

    model_config = ConfigDict(frozen=True)

    processor: str
    architecture: str
    cores: int
    features: tuple[str, ...]
    governor: str | None
    memory_megabytes: int
    system: str
    python: str
    packages: dict[str, str]
    commit: str
    before: State
    after: State | None = None

    def warnings(self) -> list[str]:
        """Why these figures are not to be trusted much; empty if nothing speaks against them."""
        found = []
        for when, state in (("before", self.before), ("after", self.after)):
            if state is None:
                continue
            found += [f"{reason} ({when} the run)" for reason in state.throttling]
            if state.busy > _BUSY_SHARE:
                found.append(f"others used {state.busy:.0%} of the processor {when} the run")
            if state.celsius is not None and state.celsius >= _HOT:
                found.append(f"the processor had {state.celsius:.0f} degrees {when} the run")
        if self.governor not in (None, "performance", "schedutil", "ondemand"):
            found.append(f"the frequency governor is {self.governor!r}")
        if self.after and self.before.megahertz and self.after.megahertz:
            share = max(self.after.megahertz) / max(self.before.megahertz)
            if share < _SLOWER_SHARE:
                found.append(f"the processor's frequency fell to {share:.0%} during the run")
        return found


def look(root: Path = _ROOT) -> Environment:
    """Describe the machine; takes a second, for it looks how busy others are.

    Args:
        root: of the file system; another one in tests.
    """
    features = machine.processor_features(root)
    governors = sorted({_text(path) for path in root.glob(_GOVERNOR)})
    return Environment(
        processor=machine.model_name(root),
        architecture=platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        features=tuple(feature for feature in _TOLD if feature in features),
        governor=", ".join(governors) or None,
        memory_megabytes=int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        system=f"{platform.system()} {_NOT_VERSION.sub('', platform.release())}",
        python=platform.python_version(),
        packages=dict(_versions(_PACKAGES)),
        commit=git_commit(),
        before=look_again(root),
    )


def look_again(root: Path = _ROOT) -> State:
    """What may have changed since."""
    import psutil

    busy = psutil.cpu_percent(interval=1.0) / 100
    return State(
        at=datetime.now(UTC),
        megahertz=tuple(round(core.current) for core in psutil.cpu_freq(percpu=True) or ()),
        celsius=machine.temperature(root),
        throttling=tuple(machine.throttling(root)),
        load=os.getloadavg()[0],
        busy=busy,
    )


def _versions(packages: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for package in packages:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
