"""What a device remembers of its models: a small file, changed by one process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .durable import atomic_write

STATE = "state.json"


class Blocked(BaseModel):
    """A model that this device will not take again.

    Attributes:
        model: its id.
        reason: why.
        since: when that was found, in UTC.
    """

    model: str
    reason: str
    since: datetime


class Trial(BaseModel):
    """The watch over a new model; see `probation`.

    Attributes:
        digest: the model's.
        hours: how long it is watched, while the service runs.
        confidence: whether it is to be as sure as the model before.
        starts: of the service with it that have not come to a good end, since the machine started.
        boot: which start of the machine that was.
        latency: seconds of one inference when it was tried on this machine; none if unknown.
    """

    digest: str
    hours: float
    confidence: bool = True
    starts: int = 0
    boot: str = ""
    latency: float | None = None


class State(BaseModel):
    """What a device remembers of its models.

    Attributes:
        device: its id, drawn by lot.
        brought: folders of models that sync made here, and may delete.
        previous: folder of the model before the one in use, or ``inside``.
        pinned: whether the model in use stays, whatever is published.
        blocked: models that proved bad here, by digest.
        failures: how often a model could not be tried, by digest.
        trial: the watch over the model in use, while there is one.
        latest: the latest time that was certain, in UTC: an earlier clock is wrong.
    """

    model_config = ConfigDict(extra="ignore")

    device: str = Field(default_factory=lambda: uuid4().hex)
    brought: list[str] = []
    previous: str | None = None
    pinned: bool = False
    blocked: dict[str, Blocked] = {}
    failures: dict[str, int] = {}
    trial: Trial | None = None
    latest: datetime | None = None


def read_state(folder: Path) -> State:
    """What is remembered in a folder; nothing, where there is none or it is damaged.

    Raises:
        OSError: it cannot be read, and must not be taken for nothing.
    """
    try:
        return State.model_validate_json((folder / STATE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return State()


@contextmanager
def changing_state(folder: Path) -> Iterator[State]:
    """What is remembered, to be changed; written at the end, whole or not at all.

    Raises:
        OSError: it cannot be read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".state.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = read_state(folder)
        yield state
        with atomic_write(folder / STATE, to_disk=True) as draft:
            draft.write_text(state.model_dump_json(indent=1) + "\n", encoding="utf-8")
