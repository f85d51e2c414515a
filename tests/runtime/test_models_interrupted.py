"""`birdedge models import` and `verify`, interrupted: nothing is left half, and nothing is said."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from birdedge.runtime.bundle import ModelBundle

Network = Callable[..., Path]

INTERRUPTED_WHILE_WRITING = """
import os, signal, sys, time
from birdedge.runtime import importer

signal_number = int(sys.argv.pop(1))

def interrupted(*_):
    os.kill(os.getpid(), signal_number)
    time.sleep(5)

importer.write_golden = interrupted
from birdedge.__main__ import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_import_leaves_the_older_bundle_alone(
    network: Network, bundle: ModelBundle, tmp_path: Path, number: signal.Signals
) -> None:
    older = tmp_path / "bundles" / "older"
    shutil.copytree(bundle.folder, older)
    model, labels = network(tmp_path / "colours.onnx"), tmp_path / "labels.txt"
    labels.write_text("Red\nGreen\nBlue\n")

    done = run(
        "-c", INTERRUPTED_WHILE_WRITING, int(number),
        "models", "import", model, "--labels", labels, "--out", older, "--force",
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert ModelBundle.load(older).manifest == bundle.manifest
    assert list(older.parent.iterdir()) == [older]


@pytest.mark.parametrize("command", ["import", "verify"])
def test_ctrl_c_while_an_engine_is_imported(
    network: Network, bundle: ModelBundle, tmp_path: Path, command: str
) -> None:
    """Libraries in C++ make an error of their own of it."""
    (tmp_path / "onnxruntime.py").write_text(
        "import os, signal, time\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(5)\n"
        "except KeyboardInterrupt:\n"
        "    pass\n"
        "raise ImportError('initialization failed')\n"
    )
    labels = tmp_path / "labels.txt"
    labels.write_text("Red\nGreen\nBlue\n")
    model = network(tmp_path / "colours.onnx")
    given = {
        "import": ["import", model, "--labels", labels, "--out", tmp_path / "out"],
        "verify": ["verify", bundle.folder],
    }
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    done = run("-m", "birdedge", "models", *given[command], env={"PYTHONPATH": path})

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def run(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    def as_in_the_foreground() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | (env or {}),
        timeout=120,
        check=False,
        preexec_fn=as_in_the_foreground,
    )
