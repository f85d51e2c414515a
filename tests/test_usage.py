"""What `--help` says first of each command: how it is called."""

from collections.abc import Iterator
from typing import Any

import typer

from birdedge.cli import app


def commands(command: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    yield command, context
    if hasattr(command, "list_commands"):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            yield from commands(below, type(context)(below, parent=context, info_name=name))


def test_what_may_be_left_out_is_in_one_pair_of_brackets() -> None:
    root = typer.main.get_command(app)
    usages = [
        command.get_usage(context)
        for command, context in commands(root, root.context_class(root, info_name="birdedge"))
    ]

    assert any("models verify [OPTIONS] [BUNDLE]" in usage for usage in usages)
    assert any("bench run [OPTIONS] [BUNDLE]..." in usage for usage in usages)
    assert [usage for usage in usages if "[[" in usage or "]]" in usage] == []
