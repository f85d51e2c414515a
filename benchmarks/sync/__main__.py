"""`python -m birdedge.benchmarks.sync`: one command for each question."""

import typer

from .costs import costs
from .kills import kills
from .swap import swap

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
for question in (costs, kills, swap):
    app.command()(question)


if __name__ == "__main__":
    app()
