"""What systemd is told of a service: that it is ready, alive, and what it does; sd_notify(3)."""

import os
import socket
import time
from contextlib import suppress

_ALIVE_SECONDS = 1.0


class Supervisor:
    """Tells systemd, where it is asked to be told; elsewhere does nothing.

    Args:
        address: of systemd's socket; as the environment has it if not given.
    """

    def __init__(self, address: str | None = None) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        # A name that begins with @ is not in the file system.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._alive = float("-inf")
        self._ready = False

    def alive(self, status: str) -> None:
        """Say that the work got on: called for each frame, told each second.

        Args:
            status: a line for `systemctl status`.
        """
        now = time.monotonic()
        if now - self._alive < _ALIVE_SECONDS:
            return
        self._alive = now
        ready = "" if self._ready else "READY=1\n"
        self._ready = True
        self._tell(f"{ready}WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Say that it ends."""
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
            teller.setblocking(False)
            teller.sendto(message.encode(), self._address)
