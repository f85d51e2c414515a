"""What `birdedge models info`, `list` and `verify` print."""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .bundle import ModelBundle
from .errors import BackendError, MissingExtraError, one_line
from .golden import self_test
from .listing import Found
from .manifest import Manifest, Target


def print_info(bundle: ModelBundle) -> None:
    """Print a bundle's description and its targets."""
    manifest, console = bundle.manifest, Console()
    height, width = manifest.preprocess.input_size
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    # Not even a long path is cut: somebody wants to copy it.
    facts.add_column(overflow="fold")
    for name, value in (
        ("model", manifest.id),
        ("created", f"{manifest.created:%Y-%m-%d %H:%M} UTC"),
        ("species", f"{sum(not label.is_background for label in manifest.labels)}"),
        ("input", f"{width} x {height}, {manifest.preprocess.resize_mode}"),
        ("unknown below", f"{manifest.unknown_threshold:.1%}"),
        ("licence", manifest.license or "not stated"),
        ("folder", str(bundle.folder)),
    ):
        facts.add_row(f"[dim]{name}[/]", escape(value))
    console.print(facts)
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("Target", "MB", "Top-1", "95 % interval", "Photos"):
        table.add_column(title, justify="left" if title == "Target" else "right")
    for name, target in manifest.targets.items():
        table.add_row(escape(name), *_figures(target))
    console.print(table)


def _figures(target: Target) -> tuple[str, ...]:
    size = f"{sum(entry.bytes for entry in target.files) / 1e6:.2f}"
    accuracy = target.accuracy
    if accuracy is None:
        return (size, "not measured", "", "")
    interval = f"{accuracy.low:.1%} - {accuracy.high:.1%}"
    return (size, f"{accuracy.top1:.2%}", interval, f"{accuracy.samples:,}")


def print_bundles(found: list[Found], as_json: bool, in_use: Path) -> bool:
    """Print bundles, as a table or a JSON object each; what is wrong with one goes to stderr.

    Args:
        found: the bundles.
        as_json: whether programs are to read it.
        in_use: the folder of the one that names birds where no other is asked for.

    Returns:
        Whether all of them can be used.
    """
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("Model", "Species", "Top-1", "Targets", "Folder"):
        number = title in ("Species", "Top-1")
        table.add_column(title, justify="right" if number else "left", overflow="fold")
    for item in found:
        if item.manifest is None:
            sys.stderr.write(f"birdedge: {one_line(item.problem)}\n")
            continue
        used = item.folder.resolve() == in_use
        facts = _facts(item.manifest, item.folder) | {"in_use": used}
        if as_json:
            sys.stdout.write(json.dumps(facts) + "\n")
        top1 = "" if facts["top1"] is None else f"{facts['top1']:.1%}"
        name = f"{facts['id']} (in use)" if used else facts["id"]
        cells = (name, str(facts["species"]), top1, ", ".join(facts["targets"]))
        table.add_row(*(escape(cell) for cell in (*cells, facts["folder"])))
    if not as_json:
        Console().print(table)
    return all(item.manifest is not None for item in found)


def _facts(manifest: Manifest, folder: Path) -> dict[str, Any]:
    accuracies = [target.accuracy for target in manifest.targets.values()]
    return {
        "id": manifest.id,
        "folder": str(folder),
        "species": sum(not label.is_background for label in manifest.labels),
        # Of all targets, since one may be chosen for its speed: the least.
        "top1": min((accuracy.top1 for accuracy in accuracies if accuracy), default=None),
        "targets": list(manifest.targets),
    }


def verify_targets(bundle: ModelBundle, threads: int) -> bool:
    """Run the self-test of each target that can run here and print how it went.

    Returns:
        Whether none failed, and at least one ran.
    """
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("Target")
    table.add_column("Self-test")
    table.add_column("Largest difference", justify="right")
    table.add_column("Allowed", justify="right")
    passed = failed = 0
    for name in bundle.manifest.targets:
        try:
            test = self_test(bundle, name, threads)
        except MissingExtraError as error:
            table.add_row(escape(name), f"[yellow]passed over[/] ({escape(str(error))})", "", "")
            continue
        except BackendError as error:
            failed += 1
            table.add_row(escape(name), f"[red]failed[/] ({escape(str(error))})", "", "")
            continue
        passed, failed = passed + test.passed, failed + (not test.passed)
        word = "[green]passed[/]" if test.passed else "[red]failed[/]"
        table.add_row(escape(name), word, f"{test.largest_difference:.4f}", f"{test.tolerance:.4f}")
    Console().print(table)
    return passed > 0 and failed == 0
