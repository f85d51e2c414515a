"""Processes that record visits and are killed: tells the ids of all that were seen committed.

python killed.py STORE TIMES
"""

import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from visitors import make_visit

from birdedge.runtime.sightings.recorder import Recorder


def record(store: Path, told: int) -> None:
    """Record visits for ever; tell each that a reader sees."""
    keeping = Recorder(store)
    with closing(sqlite3.connect(store / "sightings.db", timeout=10)) as reader:
        while True:
            visit = make_visit(random.choice(["Blue Jay", "Mallard", None]))
            keeping.take(visit)
            seen = "SELECT picture FROM sightings WHERE id = ?"
            while not reader.execute(seen, (visit.id,)).fetchone():
                time.sleep(0.001)
            os.write(told, f"{visit.id}\n".encode())


def main() -> None:
    store, times = Path(sys.argv[1]), int(sys.argv[2])
    random.seed(0)
    for _ in range(times):
        child = os.fork()
        if child == 0:
            record(store, sys.stdout.fileno())
        time.sleep(random.uniform(0.01, 0.2))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
