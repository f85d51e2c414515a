"""A worker's process as others see it: started, asked, and killed when it does not answer."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import Pipe
from typing import Any

from ...runtime.errors import BirdedgeError, one_line
from ..contenders import Contender
from . import Failed, Job, Order, Progress, Start

_PATIENCE_SECONDS = 2.0

_SHOWN = 300
"""Characters of what a process said last."""


class WorkerError(BirdedgeError):
    """A contender cannot be loaded or run, crashed, or did not answer in time."""


class Worker:
    """One contender's process; it stands still but while it carries out an order.

    Args:
        contender: what to load.
        timeout: seconds after which it is killed for not having answered.
        cores: that it may use; all if none are named.

    Attributes:
        start: how long its parts took.

    Raises:
        WorkerError: it could not be started; the text says why.
    """

    def __init__(
        self, contender: Contender, timeout: float, cores: frozenset[int] = frozenset()
    ) -> None:
        self._timeout = timeout
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._pipe, theirs = Pipe()
        # The same birdedge as here, wherever the process looks for it first.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "birdedge.benchmarks.worker",
                    str(theirs.fileno()), str(time.monotonic()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said,
                env=os.environ | {"PYTHONPATH": path, "PYDANTIC_DISABLE_PLUGINS": "true"},
                # Ctrl-C is for the bench, which ends its workers itself.
                start_new_session=True,
            )  # fmt: skip
        try:
            self._pipe.send(Job(contender, cores))
            self.start: Start = self._reply()
            self._stand_still()
        except BaseException:
            self.close()
            raise

    def ask(self, order: Order, progress: Callable[[int], object] = lambda done: None) -> Any:
        """Have an order carried out.

        Args:
            order: what to do.
            progress: called with how many pictures are done.

        Raises:
            WorkerError: it failed, crashed, or was killed for not having answered.
        """
        try:
            self._process.send_signal(signal.SIGCONT)
            self._pipe.send(order)
        except OSError as error:
            raise WorkerError(self._how_it_ended()) from error
        while isinstance(reply := self._reply(), Progress):
            progress(reply.done)
        self._stand_still()
        return reply

    def _stand_still(self) -> None:
        """Some engines' threads spin for a while, and would take a core from whose turn is next."""
        self._process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()
        self._said.close()

    def _reply(self) -> Any:
        try:
            if not self._pipe.poll(self._timeout):
                self._process.kill()
                raise WorkerError(f"no answer in {self._timeout:g} s; killed")
            reply = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerError(self._how_it_ended()) from error
        if isinstance(reply, Failed):
            raise WorkerError(one_line(reply.reason))
        return reply

    def _how_it_ended(self) -> str:
        # It hung up; what threads it has left may take their time.
        try:
            code = self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return f"{how}: {one_line(lines[-1])[:_SHOWN]}" if lines else how
