"""`birdedge bench`; nothing heavy is imported until one of its commands runs."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..runtime.default import DEFAULT_MODEL
from ..runtime.errors import DataError
from ..runtime.extras import needs_extra
from ..runtime.threads import MAX_THREADS


class _RunUnlessNamed(TyperGroup):
    """What is no command is a bundle: ``birdedge bench BUNDLE`` runs, as does it alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


bench = typer.Typer(cls=_RunUnlessNamed, add_completion=False, rich_markup_mode=None)


def _numbers(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        numbers = [int(part) for part in value.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{value!r} is no list of numbers, such as 1,2") from None
    if min(numbers) < 1:
        raise typer.BadParameter("each must be at least 1")
    return ",".join(map(str, dict.fromkeys(numbers)))


def _thread_numbers(value: str | None) -> str | None:
    numbers = _numbers(value)
    if numbers and max(map(int, numbers.split(","))) > MAX_THREADS:
        raise typer.BadParameter(f"each may be at most {MAX_THREADS}")
    return numbers


@bench.callback()
def _bench() -> None:
    """Compare targets on this machine: how fast, how often right, how large."""


_MAX_DROP = 0.5
"""Points; what quantizing may cost by default, too."""

_Report = Annotated[Path, typer.Argument(metavar="REPORT", help="A bench.json.")]


@bench.command(
    epilog="`birdedge bench compare OLD NEW` compares two reports, `birdedge bench table REPORT` "
    "writes one as Markdown, `birdedge bench page REPORT` as HTML."
)
def run(
    bundles: Annotated[
        list[Path] | None,
        typer.Argument(metavar="BUNDLE", help="The one inside birdedge if not given."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Photos: SPECIES/*.jpg; without, only speed is measured."),
    ] = None,
    not_birds: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Photos without birds; how well they are told apart."),
    ] = None,
    photos: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Take so many, evenly spread.")
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="Comma-separated, such as onnx-int8; all if not given.")
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(
            callback=_thread_numbers,
            help="Of one inference; as many as `classify` takes if not given.",
        ),
    ] = None,
    batch: Annotated[str, typer.Option(callback=_numbers, help="Pictures at once.")] = "1",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="For the report; ./bench/TIME if not given."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=3, help="At least.")] = 30,
    seconds: Annotated[float, typer.Option(min=0, help="Of rounds, at least.")] = 5.0,
    cold_starts: Annotated[int, typer.Option(min=0, help="Fresh processes for each.")] = 3,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds after which who does not answer is killed.")
    ] = 60.0,
    at_once: Annotated[
        int | None,
        typer.Option(min=2, help="Contenders in memory together; as many as fit if not given."),
    ] = None,
    pin: Annotated[
        bool, typer.Option("--pin/--no-pin", help="Keep each to as many cores as threads.")
    ] = True,
    peers: Annotated[
        bool,
        typer.Option("--peers/--no-peers", help="Time engines' quick starts, ask their tools."),
    ] = True,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Time this network in PyTorch, too."),
    ] = None,
    accuracy: Annotated[
        bool, typer.Option("--accuracy/--no-accuracy", help="Have all photos answered.")
    ] = True,
    robustness: Annotated[
        int, typer.Option(min=0, metavar="N", help="Make so many photos worse, in 15 ways.")
    ] = 0,
    recommend: Annotated[
        bool,
        typer.Option(
            "--recommend", help="Name the target to take; `classify --target auto` then takes it."
        ),
    ] = False,
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Points of top-1 below the best that --recommend allows.",
            show_default=str(_MAX_DROP),
        ),
    ] = None,
    latency_ms: Annotated[
        float | None, typer.Option(min=0.01, help="That --recommend allows for 95 % of inferences.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON instead of a table.")
    ] = False,
) -> None:
    """Compare targets on this machine: how fast, how often right, how large.

    All take turns, each in a process of its own. One that cannot run is a row that says why. Writes
    a table, JSON, CSV and a page with plots. Ctrl-C keeps the rounds that are finished.

    Exit code 1 if nothing could be measured or recommended.
    """
    with needs_extra("bench"):
        from ..runtime.backends import default_threads
        from .bench import Wanted
        from .latency import Plan
        from .terminal import run_and_show
    for name, limit in (("max-drop", max_drop), ("latency-ms", latency_ms)):
        if limit is not None and not recommend:
            raise typer.BadParameter("it is about --recommend", param_hint=f"--{name}")
    for name, value in (("not-birds", not_birds), ("photos", photos), ("robustness", robustness)):
        if value and data is None:
            raise typer.BadParameter("it is about photos; give --data", param_hint=f"--{name}")
        if value and not accuracy and name != "photos":
            raise typer.BadParameter("it is about accuracy", param_hint=f"--{name}")
    wanted = Wanted(
        bundles=bundles or [DEFAULT_MODEL],
        targets=[name.strip() for name in targets.split(",")] if targets else None,
        threads=[int(count) for count in threads.split(",")] if threads else [default_threads()],
        batches=[int(count) for count in batch.split(",")],
        data=data,
        not_birds=not_birds,
        photos=photos,
        robustness=robustness,
        checkpoint=checkpoint,
        peers=peers,
        accuracy=accuracy,
        plan=Plan(
            rounds=rounds, seconds=seconds, cold_starts=cold_starts, timeout=timeout,
            at_once=at_once, pin=pin, tools=peers,
        ),
    )  # fmt: skip
    limits = (_MAX_DROP if max_drop is None else max_drop, latency_ms) if recommend else None
    raise typer.Exit(run_and_show(wanted, out, limits, as_json))


@bench.command()
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A bench.json of before.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="One of now.")],
    latency_budget: Annotated[
        float, typer.Option(min=0, help="Percent by which a median may grow.")
    ] = 5.0,
    accuracy_budget: Annotated[
        float, typer.Option(min=0, help="Points of top-1 that may be lost.")
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a contender.")] = False,
) -> None:
    """Compare two reports.

    Exit code 1 if one of birdedge's own is surely slower or less often right than the budget
    allows, or is no longer measured.
    """
    with needs_extra("bench"):
        from .compare import compare as compare_reports
        from .results import read_report
        from .terminal import show_changes
    before, after = read_report(old), read_report(new)
    changes = compare_reports(before, after, latency_budget / 100, accuracy_budget)
    raise typer.Exit(show_changes(before, after, changes, as_json))


@bench.command()
def table(
    report: _Report,
    brief: Annotated[
        bool, typer.Option("--brief", help="Without peers, and with fewer columns.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Put it between <!-- bench --> and <!-- /bench --> there."
        ),
    ] = None,
) -> None:
    """Write a report's table as Markdown."""
    with needs_extra("bench"):
        from .report.table import as_markdown, put_into
        from .results import read_report
    text = as_markdown(read_report(report), brief=brief)
    if into is None:
        typer.echo(text, nl=False)
    else:
        put_into(into, text)


@bench.command()
def page(
    report: _Report,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The page.")],
) -> None:
    """Make a report's page with plots again."""
    with needs_extra("bench"):
        from .report.page import as_page
        from .results import read_report
    text = as_page(read_report(report))
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}") from error
