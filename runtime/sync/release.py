"""What a channel offers: releases, newest first, and which devices each of them is for."""

import re
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ..manifest import FileEntry

CHANNEL_SCHEMA = 1
MAX_CHANNEL_BYTES = 2**20
CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""What a channel may be called: it is a part of addresses, and of patterns."""


class _Part(BaseModel):
    # A later birdedge may say more; an older one on a device must still read what it knows.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Budget(_Part):
    """What a model may cost on the device before it is put to use there.

    Attributes:
        latency_ms: median of one inference; unlimited if none.
        slowdown: the same, as a multiple of the model's that is in use.
        memory_mb: peak of a process that loads and runs it; unlimited if none.
    """

    latency_ms: float | None = Field(default=None, gt=0)
    slowdown: float | None = Field(default=3.0, gt=0)
    memory_mb: float | None = Field(default=None, gt=0)


class Release(_Part):
    """A bundle, and whom it is for.

    Attributes:
        model: the bundle's id.
        manifest: its manifest, through whose hashes all its files are known.
        published: when, in UTC.
        percent: share of the devices that take it.
        min_version: the oldest birdedge that can run it.
        regions: prefixes of the regions whose species it knows, such as ``US`` or ``US-NY``; all
            regions if none.
        budget: what it may cost there.
        watch_hours: how long a device watches it before it is trusted.
        watch_confidence: whether it is put back where it is not as sure as the model before.
    """

    model: str = Field(min_length=1, max_length=200)
    manifest: FileEntry
    published: datetime
    percent: float = Field(default=100.0, ge=0, le=100)
    min_version: str = "0"
    regions: tuple[str, ...] = ()
    budget: Budget = Budget()
    watch_hours: float = Field(default=24.0, ge=0, allow_inf_nan=False)
    watch_confidence: bool = True


class Channel(_Part):
    """What a channel has for the devices that follow it.

    Attributes:
        schema_version: of this description.
        releases: newest first; the first that is meant for a device is the device's.
        withdrawn: SHA-256 of the manifests of releases that were taken back, the latest first. A
            device leaves such a model; one that is merely old, or for others, it keeps.
    """

    schema_version: int = Field(default=CHANNEL_SCHEMA, ge=1, le=CHANNEL_SCHEMA)
    releases: tuple[Release, ...] = ()
    withdrawn: tuple[str, ...] = ()


def channel_target(channel: str) -> str:
    """The TUF target that holds a channel's releases."""
    return f"{channel}/channel.json"
