"""Silence for libraries that talk: converters print, log and warn on every channel there is."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back all output of the block, Python's and native code's; show it if the block fails.

    It works on the process's own file descriptors, so nothing else should print meanwhile.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        saved = os.dup(1), os.dup(2)
        disabled = logging.root.manager.disable
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        failed = False
        try:
            logging.disable(logging.WARNING)
            # Python's own streams need not lie on descriptors 1 and 2: a notebook's do not.
            with (
                warnings.catch_warnings(),
                contextlib.redirect_stdout(said),
                contextlib.redirect_stderr(said),
            ):
                warnings.simplefilter("ignore")
                yield
        except Exception:  # but not Ctrl-C, of which there is nothing to learn
            failed = True
            raise
        finally:
            logging.disable(disabled)
            said.flush()
            for number, copy in enumerate(saved, start=1):
                os.dup2(copy, number)
                os.close(copy)
            if failed:
                said.seek(0)
                sys.stderr.write(said.read())
