"""`birdedge` and `python -m birdedge`: so little that Ctrl-C is heard from the start."""

import gc
import sys


def main() -> None:
    """Run the command line; see `cli.main`."""
    # Imports make many objects and no garbage; looking for some takes a tenth of a short run.
    gc.set_threshold(100_000)
    try:
        from . import cli

        cli.main()
    except KeyboardInterrupt:
        # `runtime.stopping.INTERRUPTED`, which may be what was being imported.
        sys.exit(130)


if __name__ == "__main__":
    main()
