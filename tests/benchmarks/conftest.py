"""Photos, bundles and engines to be compared: small, real, and some of them broken."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from colours import BLUE, GREEN, RED
from PIL import Image

from birdedge.benchmarks.environment import Environment, State
from birdedge.benchmarks.results import Latency, Report, Row
from birdedge.benchmarks.samples import median, percentile, ratio
from birdedge.runtime.bundle import ModelBundle

SPECIES = {"Northern_Cardinal": RED, "Calliope_Hummingbird": GREEN, "Indigo_Bunting": BLUE}

_ENGINES = """
import os, time
import numpy as np

class _Engine:
    def __init__(self, classes):
        self.classes = classes

    @classmethod
    def load(cls, files, target, threads):
        return cls(3)

    def infer(self, batch):
        return np.zeros((len(batch), self.classes), np.float32)

    def close(self):
        pass

class Hangs(_Engine):
    def infer(self, batch):
        time.sleep(3600)

class Crashes(_Engine):
    def infer(self, batch):
        print("illegal instruction, says the engine", flush=True)
        os.abort()

class CrashesLater(_Engine):
    count = 0

    def infer(self, batch):
        self.count += 1
        if self.count > 25:
            os.abort()
        return super().infer(batch)

class Soon(CrashesLater):
    count = 20

class Lingers(_Engine):
    def infer(self, batch):
        import sys, threading
        threading.Thread(target=time.sleep, args=(60,)).start()
        sys.exit("leaves with a thread alive")

class Missing(_Engine):
    @classmethod
    def load(cls, files, target, threads):
        from birdedge.runtime.extras import needs_extra
        with needs_extra("tpu"):
            import a_package_that_nobody_has
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve photos of each species: plain colours, a few of them of another bird's."""
    for species, color in SPECIES.items():
        folder = tmp_path / "photos" / species
        folder.mkdir(parents=True)
        for number in range(12):
            wrong = number == 0 and species == "Indigo_Bunting"
            Image.new("RGB", (40, 40), RED if wrong else color).save(folder / f"{number:02}.png")
    return tmp_path / "photos"


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's package with engines that fail, each in its own way."""
    package = tmp_path / "package"
    info = package / "broken_engines-1.0.dist-info"
    info.mkdir(parents=True)
    (package / "broken_engines.py").write_text(_ENGINES)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-engines\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[birdedge.backends]\n"
        "hangs = broken_engines:Hangs\n"
        "crashes = broken_engines:Crashes\n"
        "later = broken_engines:CrashesLater\n"
        "soon = broken_engines:Soon\n"
        "lingers = broken_engines:Lingers\n"
        "missing = broken_engines:Missing\n"
    )
    monkeypatch.syspath_prepend(package)


@pytest.fixture
def with_engines(
    make_bundle: Callable[..., ModelBundle], engines: None
) -> Callable[..., ModelBundle]:
    """A bundle whose targets are one file in several engines."""

    def make(*names: str) -> ModelBundle:
        import json

        bundle = make_bundle()
        path = bundle.folder / "manifest.json"
        manifest = json.loads(path.read_text())
        (target,) = manifest["targets"].values()
        manifest["targets"] = {name: target | {"engine": name} for name in names}
        path.write_text(json.dumps(manifest))
        return ModelBundle.load(bundle.folder)

    return make


@pytest.fixture
def environment_of() -> Callable[..., Environment]:
    """A quiet machine, but for what is said."""

    def make(**changes: object) -> Environment:
        state = State(
            at=datetime(2026, 5, 1, tzinfo=UTC), megahertz=(2400.0,), celsius=50.0,
            throttling=(), load=0.1, busy=0.01,
        )  # fmt: skip
        quiet = Environment(
            processor="Raspberry Pi 5", architecture="aarch64", cores=4, features=("asimddp",),
            governor="ondemand", memory_megabytes=8000, system="Linux 6.12", python="3.13.1",
            packages={"onnxruntime": "1.32.0"}, commit="abc", before=state, after=state,
        )  # fmt: skip
        return quiet.model_copy(update=changes)

    return make


@pytest.fixture
def row_of() -> Callable[..., Row]:
    """A contender with these times, every fifth round somewhat slower."""

    def make(
        target: str, milliseconds: float | None, noise: float = 0.02, **changes: object
    ) -> Row:
        latency = None
        if milliseconds is not None:
            rounds = [
                [milliseconds * (1 + noise * (number % 5) + 0.001 * sample) for sample in range(4)]
                for number in range(20)
            ]
            middle = median(rounds)
            latency = Latency(
                p50=middle, p90=percentile(rounds, 90), p95=percentile(rounds, 95),
                p99=percentile(rounds, 99), ratio=ratio(rounds, rounds),
                images_per_second=1000 / middle.value,
                end_to_end=middle,
                own=None, rounds=rounds,
            )  # fmt: skip
        row = Row(
            model="colours", target=target, runner="birdedge", threads=1, batch=1, latency=latency,
            megabytes=2.5, peak_megabytes=80.0,
        )  # fmt: skip
        return row.model_copy(update=changes)

    return make


@pytest.fixture
def report_of(environment_of: Callable[..., Environment]) -> Callable[..., Report]:
    def make(*rows: Row, **changes: object) -> Report:
        report = Report(
            created=datetime(2026, 5, 1, 12, 0, tzinfo=UTC),
            environment=environment_of(),
            rows=list(rows),
        )
        return report.model_copy(update=changes)

    return make
