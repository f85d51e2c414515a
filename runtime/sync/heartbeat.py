"""What a device tells its fleet's keeper, if it is asked to: how it is, never what it sees.

No picture, no species, no place, no address: see docs/sync.md for what is told and why.
"""

import platform
import re
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import urllib3
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NonNegativeInt

from .. import machine
from ..durable import atomic_write
from ..errors import SyncError
from ..health import read_health
from ..installed import Installed
from .locations import Location, google_storage
from .proxy import connections

HEARTBEAT_SCHEMA = 1
PREFIX = "fleet/"
TIME = "%Y%m%dT%H%M%S.%fZ"
"""Of a name below it: names are in the order of time."""

_TIMEOUT_SECONDS = 30.0
_PATH = re.compile(r"\S*/.*?(?=: |$)")


class Heartbeat(BaseModel):
    """One device at one time.

    Attributes:
        device: its id, drawn by lot.
        sent: when, in UTC.
        channel: that it follows.
        birdedge: its version.
        python: likewise.
        machine: what computer it is.
        model: id of the model in use.
        digest: of the same.
        trial: whether that is still being watched.
        blocked: ids of models that it will not take, with the reasons.
        sync: how the last sync went, in a word.
        visits: since the service began with this model; none where no service ran.
        frames: likewise.
        latency_ms: median of one inference there.
        confidence: them by the probability of their first answer, in ten equal bins; older ones
            count less.
        free_gb: on the disk.
        temperature: of the processor, degrees Celsius.
    """

    model_config = ConfigDict(extra="ignore")

    schema_version: int = HEARTBEAT_SCHEMA
    device: str = Field(pattern="^[0-9a-f]{32}$")
    sent: AwareDatetime
    channel: str
    birdedge: str
    python: str
    machine: str
    model: str
    digest: str
    trial: bool
    blocked: dict[str, str]
    sync: str
    visits: int | None = None
    frames: int | None = None
    latency_ms: float | None = None
    confidence: list[NonNegativeInt] | None = None
    free_gb: float
    temperature: float | None = None


def heartbeat(installed: Installed, channel: str, sync: str) -> Heartbeat:
    """How this device is."""
    # Its id is drawn here if it has none yet, and must be the same tomorrow.
    with installed.changing() as state:
        pass
    current = installed.current()
    health = read_health(installed.folder, current.digest)
    seen: dict[str, Any] = {}
    if health is not None:
        latency = health.latency()
        seen = {
            "visits": health.visits,
            "frames": health.frames,
            "latency_ms": None if latency is None else round(latency * 1000, 2),
            "confidence": health.confidence,
        }
    return Heartbeat(
        device=state.device,
        sent=datetime.now(UTC),
        channel=channel,
        birdedge=version("birdedge"),
        python=platform.python_version(),
        machine=machine.model_name(),
        model=current.model,
        digest=current.digest,
        trial=state.trial is not None and state.trial.digest == current.digest,
        blocked={
            blocked.model: _without_paths(blocked.reason) for blocked in state.blocked.values()
        },
        sync=sync,
        free_gb=round(shutil.disk_usage(installed.folder).free / 1e9, 2),
        temperature=machine.temperature(),
        **seen,
    )


def send(beat: Heartbeat, location: Location) -> None:
    """Put a heartbeat into the repository, under a name of its own: nothing is overwritten.

    In a bucket, the right to create objects is enough.

    Raises:
        SyncError: it could not be put there.
    """
    name = f"{PREFIX}{beat.device}/{beat.sent:{TIME}}.json"
    content = beat.model_dump_json(exclude_none=True).encode()
    if location.url.startswith("file:"):
        _into_folder(Path(location.shown).expanduser() / name, content)
        return
    headers = {"Content-Type": "application/json", **location.headers()}
    if location.bucket:
        wanted = quote(location.prefix + name, safe="")
        method, url = (
            "POST",
            (
                f"{google_storage()}/upload/storage/v1/b/{location.bucket}/o"
                f"?uploadType=media&name={wanted}&ifGenerationMatch=0"
            ),
        )
    else:
        method, url = "PUT", location.url + name
    try:
        response = connections(url).request(
            method, url, body=content, headers=headers, timeout=_TIMEOUT_SECONDS, retries=1
        )
    except urllib3.exceptions.HTTPError as error:
        raise SyncError(f"cannot report to {location.shown}: {type(error).__name__}") from error
    if response.status >= 300:
        raise SyncError(f"cannot report to {location.shown}: it says {response.status}")


def _into_folder(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise SyncError(f"cannot report to {path.parent}: {error.strerror}") from error


def _without_paths(text: str) -> str:
    """A reason as it may be told: a folder may have its owner's name."""
    return _PATH.sub("...", text)
