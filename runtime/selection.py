"""`--target auto`: the fastest target of a bundle on this machine, measured once and remembered."""

import hashlib
import json
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs

from .backends import load_backend
from .bundle import ModelBundle
from .durable import atomic_write
from .errors import BackendError, MissingExtraError
from .golden import draw_golden_inputs, model_input

_WARM_UP, _ROUNDS = 3, 15
_ENGINE_PACKAGES = ("onnxruntime", "openvino", "ai-edge-litert", "tflite-runtime", "ncnn")


def choose_target(bundle: ModelBundle, threads: int) -> str:
    """Name the fastest target that this machine can run.

    The answer is kept per machine, engine versions, thread count and bundle.

    Raises:
        BackendError: no target of the bundle runs on this machine.
    """
    targets = list(bundle.manifest.targets)
    known = _read(_cache()).get(_key(bundle, threads))
    if known in targets:
        return known
    latency = measure_targets(bundle, threads)
    fastest = min(latency, key=lambda target: latency[target])
    remember(bundle, threads, fastest)
    return fastest


def remember(bundle: ModelBundle, threads: int, target: str) -> None:
    """Have `choose_target` name this target from now on, on this machine and with these engines."""
    _write(_cache(), _read(_cache()) | {_key(bundle, threads): target})


def measure_targets(bundle: ModelBundle, threads: int) -> dict[str, float]:
    """Median seconds of one inference for each target that runs here, interleaved round by round.

    Raises:
        BackendError: none does; the message says why for each.
    """
    spec = bundle.manifest.preprocess
    picture = draw_golden_inputs(spec.input_size)[:1]
    runs: dict[str, Callable[[], object]] = {}
    reasons: list[str] = []
    for name, target in bundle.manifest.targets.items():
        try:
            backend = load_backend(bundle.target_files(name), target, threads)
            batch = model_input(picture, spec, target)
            for _ in range(_WARM_UP):
                backend.infer(batch)
            runs[name] = partial(backend.infer, batch)
        except (BackendError, MissingExtraError) as error:
            reasons.append(f"{name}: {error}")
    if not runs:
        raise BackendError(f"no target of {bundle.manifest.id} runs here; " + "; ".join(reasons))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def _cache() -> Path:
    return platformdirs.user_cache_path("birdedge") / "targets.json"


def _key(bundle: ModelBundle, threads: int) -> str:
    facts = [platform.machine(), platform.node(), _cpu_model(), str(threads), bundle.digest()]
    for package in _ENGINE_PACKAGES:
        try:
            facts.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("model name", "Model"))), "")


def _read(cache: Path) -> dict[str, str]:
    """What is remembered; a damaged or unreadable cache is as good as none."""
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(cache: Path, known: dict[str, str]) -> None:
    """Remember, if the place can be written to; measuring again next time is no harm."""
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(cache) as draft:
            draft.write_text(json.dumps(known), encoding="utf-8")
