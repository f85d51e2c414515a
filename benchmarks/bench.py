"""One run of `birdedge bench`, from who takes part to what came out."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Event

from ..runtime.bundle import ModelBundle
from ..runtime.errors import DataError
from .accuracy import Accuracy, Answers, answers_of, score
from .answers import Change, Examination, Key, Logits, corruption
from .contenders import BIRDEDGE, Contender
from .corruptions import CORRUPTIONS
from .energy import find_meter
from .environment import Environment, look, look_again
from .latency import Plan, Timing, measure
from .lineup import contenders_of, one_of_each, torch_peers, with_peers
from .macs import macs_of
from .photos import Photos, read_photos
from .results import Peak, Report, Row, cold_start_of, latency_of, now

_SEVERITIES = (1, 2, 3)

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Wanted:
    """What is to be compared, and how thoroughly.

    Attributes:
        bundles: folders; the first target of the first one is the reference.
        targets: names; all if none.
        threads: counts.
        batches: pictures in one inference.
        data: a folder of photos sorted by species, or of photos alone; none for latency alone.
        not_birds: a folder of photos without birds.
        photos: at most so many, evenly spread; all if none.
        robustness: photos that are corrupted; none for no such figures.
        checkpoint: a network to compare with in PyTorch.
        peers: whether engines' own quick starts take part.
        accuracy: whether photos are answered, or only timed.
        plan: of the timing.
    """

    bundles: Sequence[Path]
    targets: Sequence[str] | None = None
    threads: Sequence[int] = (1,)
    batches: Sequence[int] = (1,)
    data: Path | None = None
    not_birds: Path | None = None
    photos: int | None = None
    robustness: int = 0
    checkpoint: Path | None = None
    peers: bool = True
    accuracy: bool = True
    plan: Plan = field(default_factory=Plan)


@dataclass
class _Found:
    """What is known so far; a report can be made of it at any time."""

    environment: Environment
    bundles: Mapping[str, ModelBundle]
    contenders: Sequence[Contender]
    macs: Mapping[str, int | None]
    timings: Sequence[Timing] = ()
    peaks: Sequence[Peak] = ()
    problems: dict[Key, str] = field(default_factory=dict)
    accuracy: dict[Key, Accuracy] = field(default_factory=dict)
    robustness: dict[Key, dict[str, list[float]]] = field(default_factory=dict)


def run(wanted: Wanted, tell: Tell, keep: Callable[[Report], object], stop: Event) -> Report:
    """Compare.

    Args:
        wanted: what is to be compared.
        tell: is told how far it is.
        keep: is given what is known whenever a part is done.
        stop: set, it ends soon, with what it has.

    Raises:
        BirdedgeError: a bundle or the photos cannot be used.
    """
    contenders = contenders_of(wanted.bundles, wanted.targets, wanted.threads, wanted.batches)
    own = list(contenders)
    if wanted.peers:
        contenders = list(with_peers(contenders))
    if wanted.checkpoint is not None:
        contenders += torch_peers(wanted.checkpoint, own)
    bundles = {one.model: ModelBundle.load(one.folder) for one in own}
    photos = read_photos(wanted.data) if wanted.data is not None else None
    if photos is not None and wanted.photos is not None:
        photos = photos.some(wanted.photos)
    others = read_photos(wanted.not_birds) if wanted.not_birds is not None else None
    if photos is not None:
        if not photos.species and (others is not None or wanted.robustness):
            raise DataError(f"{wanted.data} is not sorted by species, so accuracy cannot be told")
        tell(f"looking at {len(photos.paths):,} photos")
        photos.check()
    if others is not None:
        others.check()
    tell("looking at the machine")
    macs = {model: macs_of(bundle) for model, bundle in bundles.items()}
    found = _Found(look(), bundles, contenders, macs)
    meter = find_meter()

    def report(*, done: bool = False) -> Report:
        return _report(found, wanted, photos, meter.source if meter else "", not done)

    plan = replace(wanted.plan, photos=photos.some(64).paths if photos else ())

    def keep_timings(timings: Sequence[Timing]) -> None:
        found.timings = timings
        keep(report())

    measure(contenders, plan, tell, stop, meter, keep_timings)
    if not stop.is_set():
        tell("measuring what the machine can do at all")
        found.peaks = _peaks(wanted.threads, plan.timeout)
    if photos is not None and photos.species and wanted.accuracy and not stop.is_set():
        with tempfile.TemporaryDirectory(prefix="birdedge-bench-") as work:
            examination = Examination(
                list(one_of_each(own)),
                {model: bundle.manifest for model, bundle in bundles.items()},
                Path(work), plan.timeout, tell, stop,
            )  # fmt: skip
            _measure_accuracy(found, photos, others, examination)
            keep(report())
            if wanted.robustness and not stop.is_set():
                _measure_robustness(found, photos.some(wanted.robustness), examination)
    found.environment = found.environment.model_copy(update={"after": look_again()})
    return report(done=not stop.is_set())


def _measure_accuracy(
    found: _Found, photos: Photos, others: Photos | None, examination: Examination
) -> None:
    first = examination.manifests[examination.contenders[0].model]
    given = examination.ask(photos)
    strangers: Mapping[Key, Logits | str] = {}
    if others is not None:
        strangers = examination.ask(others)
    answers: dict[Key, Answers] = {}
    for key, logits in given.items():
        if isinstance(logits, str):
            found.problems[key] = logits
        else:
            answers[key] = answers_of(examination.manifests[key[0]], logits, photos, first)
    reference = next(iter(answers), None)
    for key, answer in answers.items():
        strange = strangers.get(key)
        figures = score(
            answer,
            answers[reference] if reference and key != reference else None,
            None if isinstance(strange, str) else strange,
        )
        if figures is not None:
            found.accuracy[key] = figures
        else:
            found.problems[key] = f"it knows none of the species in {photos.name}"


def _measure_robustness(found: _Found, photos: Photos, examination: Examination) -> None:
    first = examination.manifests[examination.contenders[0].model]

    def right(change: Change | None = None) -> dict[Key, float]:
        """The share of each that is right."""
        shares = {}
        for key, logits in examination.ask(photos, change).items():
            if not isinstance(logits, str):
                manifest = examination.manifests[key[0]]
                figures = score(answers_of(manifest, logits, photos, first), None)
                if figures is not None:
                    shares[key] = figures.top1.value
        return shares

    # The same photos as they are: all of them may be easier or harder.
    plain = right()
    for kind in CORRUPTIONS:
        levels = [plain]
        for severity in _SEVERITIES:
            if examination.stop.is_set():
                return
            examination.tell(f"{kind}, severity {severity}")
            levels.append(right(corruption(kind, severity)))
        for key in plain:
            if all(key in level for level in levels):
                figures = [level[key] for level in levels]
                found.robustness.setdefault(key, {})[kind] = figures


def _peaks(threads: Sequence[int], timeout: float) -> list[Peak]:
    """In processes of their own: a library's threads are made once and for all."""
    peaks = []
    for count in threads:
        try:
            told = subprocess.run(
                [sys.executable, "-m", "birdedge.benchmarks.peak", str(count)],
                capture_output=True, text=True, check=True, timeout=timeout,
            ).stdout  # fmt: skip
        except subprocess.SubprocessError:
            continue
        for line in told.splitlines():
            engine, kind, gmacs = line.split()
            peaks.append(Peak(engine=engine, kind=kind, threads=count, gmacs=float(gmacs)))
    return peaks


def _report(
    found: _Found, wanted: Wanted, photos: Photos | None, energy: str, interrupted: bool
) -> Report:
    timings = found.timings or [Timing(contender) for contender in found.contenders]
    plan = asdict(wanted.plan)
    plan.pop("photos")
    return Report(
        created=now(),
        environment=found.environment,
        photos=f"{len(photos.paths):,} photos of {photos.name}" if photos else "",
        photos_digest=photos.digest() if photos else "",
        settings=plan | {"threads": list(wanted.threads), "batches": list(wanted.batches)},
        peaks=list(found.peaks),
        energy=energy,
        rows=[_row(timing, found) for timing in timings],
        interrupted=interrupted,
    )


def _row(timing: Timing, found: _Found) -> Row:
    contender = timing.contender
    key = (contender.model, contender.target)
    bundle = found.bundles.get(contender.model)
    target = bundle.manifest.targets.get(contender.target) if bundle else None
    ours = contender.runner == BIRDEDGE
    latency = latency_of(timing)
    macs = found.macs.get(contender.model)
    share = None
    if macs and latency:
        kind = "int8" if contender.target.endswith("int8") else "fp32"
        best = max(
            (peak.gmacs for peak in found.peaks
             if peak.kind == kind and peak.threads == contender.threads),
            default=None,
        )  # fmt: skip
        share = macs * latency.images_per_second / (best * 1e9) if best else None
    return Row(
        model=contender.model,
        target=contender.target,
        runner=contender.runner,
        threads=contender.threads,
        batch=contender.batch,
        problem=timing.problem or (found.problems.get(key) if ours else None),
        digest=bundle.digest() if bundle else "",
        megabytes=sum(entry.bytes for entry in target.files) / 1e6 if target else None,
        latency=latency,
        cold_start=cold_start_of(timing),
        peak_megabytes=timing.peak_megabytes,
        joules=timing.joules,
        stable=timing.stable,
        macs=macs,
        share_of_peak=share,
        accuracy=found.accuracy.get(key) if ours else None,
        robustness=found.robustness.get(key) if ours else None,
    )
