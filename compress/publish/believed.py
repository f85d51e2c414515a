"""The metadata of a repository that a publisher may believe, and so sign on.

Each is signed by whom the one above it names, none is older than what was seen before, and none has
expired: who can write to the storage and has no key changes nothing.
"""

from datetime import datetime
from itertools import count
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import TOP_LEVEL_ROLE_NAMES, Metadata, Root, Snapshot, Targets, Timestamp

from .memory import Memory
from .storage import ABSENT, PublishError, Storage

METADATA = "metadata/"
TIMESTAMP = f"{METADATA}timestamp.json"

_OLDER = "somebody put an older state back, or it was restored from a backup"


class Believed:
    """A repository as it was read.

    Args:
        storage: where it is kept.
        memory: what this publisher has seen of it.
        now: after which nothing may have expired; none if all may have.

    Attributes:
        metadata: by role; none where there is no repository yet.
        next_root: version of the root that nobody has written yet.
        timestamp_generation: of what was read; who writes it now overwrites nobody else's.

    Raises:
        PublishError: it cannot be read, or is not to be believed; the message says why.
    """

    def __init__(self, storage: Storage, memory: Memory, now: datetime | None) -> None:
        self.metadata: dict[str, Metadata[Any]] = {}
        self.next_root = 1
        self.timestamp_generation = ABSENT
        self._storage = storage
        self._memory = memory
        self._now = now
        self._load()

    def delegator(self, role: str) -> Root | Targets:
        """Who says whose key is a role's."""
        above = Root.type if role in TOP_LEVEL_ROLE_NAMES else Targets.type
        signed = self.metadata[above].signed
        assert isinstance(signed, Root | Targets)
        return signed

    def verify(self, role: str, metadata: "Metadata[Any]") -> None:
        """Check who signed it.

        Raises:
            PublishError: not the one whose role it is.
        """
        self._verify(self.delegator(role), role, metadata)

    def _load(self) -> None:
        anchor = self._memory.root()
        first = self._storage.read(f"{METADATA}1.root.json")
        if first is None and self._storage.read(TIMESTAMP) is None:
            return
        if anchor is None:
            raise PublishError(
                f"{self._memory.root_file} is missing, without which nothing here can be believed; "
                "it is where the repository was begun, and on each device"
            )
        self._load_root(anchor)
        stored = self._storage.read(TIMESTAMP)
        if stored is None:
            raise PublishError(f"{TIMESTAMP} is missing: the repository is damaged")
        self.timestamp_generation = stored.generation
        timestamp = self._take(Timestamp.type, self._parse(TIMESTAMP, stored.content))
        version = timestamp.snapshot_meta.version
        snapshot = self._take(Snapshot.type, self._read(f"{METADATA}{version}.snapshot.json"))
        # The targets come first: they say whose keys the channels' are.
        for file in (f"{Targets.type}.json", *snapshot.meta):
            role = file.removesuffix(".json")
            if role not in self.metadata:
                version = snapshot.meta[file].version
                self._take(role, self._read(f"{METADATA}{version}.{file}"))

    def _load_root(self, anchor: bytes) -> None:
        """Go from the root that is known to the newest, each signed by the one before."""
        root = self._parse(str(self._memory.root_file), anchor)
        if self._storage.read(f"{METADATA}{root.signed.version}.root.json") is None:
            raise PublishError(f"the repository lacks root {root.signed.version}: {_OLDER}")
        self.metadata[Root.type] = root
        for version in count(root.signed.version + 1):
            self.next_root = version
            stored = self._storage.read(f"{METADATA}{version}.root.json")
            if stored is None:
                break
            new = self._parse(f"{version}.root.json", stored.content)
            self._verify(root.signed, Root.type, new)
            self._verify(new.signed, Root.type, new)
            self.metadata[Root.type] = root = new
        self._check_age(Root.type, root)

    def _take(self, role: str, metadata: "Metadata[Any]") -> Any:
        """Believe what a role signed, if it did, and nothing later is known."""
        self.verify(role, metadata)
        known = self._memory.versions().get(role, 0)
        if metadata.signed.version < known:
            raise PublishError(
                f"{role} has version {metadata.signed.version}, {known} is known: {_OLDER}"
            )
        self._check_age(role, metadata)
        self.metadata[role] = metadata
        return metadata.signed

    def _check_age(self, role: str, metadata: "Metadata[Any]") -> None:
        if self._now is not None and metadata.signed.is_expired(self._now):
            raise PublishError(
                f"{role} has expired; if you know why, `birdedge keys renew --expired` goes on "
                "from there, else somebody may be putting an older state back"
            )

    def _verify(self, delegator: Root | Targets, role: str, metadata: "Metadata[Any]") -> None:
        try:
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (RepositoryError, ValueError) as error:
            raise PublishError(f"{role} is not signed by its key: {error}") from error

    def _read(self, name: str) -> "Metadata[Any]":
        stored = self._storage.read(name)
        if stored is None:
            raise PublishError(f"{name} is missing: the repository is damaged")
        return self._parse(name, stored.content)

    def _parse(self, name: str, content: bytes) -> "Metadata[Any]":
        try:
            return Metadata.from_bytes(content)
        except RepositoryError as error:
            raise PublishError(f"{name} is damaged: {error}") from error
