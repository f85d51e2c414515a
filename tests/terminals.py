"""Commands that a person watches at a terminal."""

import os
import pty
import subprocess
from pathlib import Path


def watched(command: list[str], cwd: Path, environment: dict[str, str]) -> tuple[bytes, str]:
    """Run a command whose stderr is a terminal: what came out of its stdout, and what was seen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, cwd=cwd,
        env=environment | {"TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)
    out, _ = process.communicate(timeout=120)
    return out, read_terminal(ours)


def read_terminal(ours: int) -> str:
    """All that was written to the other end of a pseudo-terminal, which is closed."""
    shown = b""
    try:
        while part := os.read(ours, 2**16):
            shown += part
    except OSError:  # Linux's way to say that a terminal has closed.
        pass
    os.close(ours)
    return shown.decode()
