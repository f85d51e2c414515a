"""The signed metadata of a repository, read from its storage, changed, and written back.

Versioned metadata are new objects; `timestamp.json`, the last to be written, makes all of them
valid at once, and only if nobody else has written it meanwhile. What an interrupted publisher left
is passed over.
"""

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer
from tuf.repository import Repository as TufRepository

from ...runtime.sync.release import CHANNEL
from .keys import OFFLINE, ONLINE, Keys
from .memory import Memory
from .storage import ABSENT, ConflictError, PublishError, Storage

DAYS = {"root": 365, "targets": 365, "snapshot": 30, "timestamp": 14}
CHANNEL_DAYS = 180
"""How long what a role signs is valid. The shorter, the less can an old state be replayed, and the
more often `birdedge keys renew` must run; a channel's releases change as often as models do."""

_SERIALIZER = JSONSerializer(compact=True)

METADATA = "metadata/"
TIMESTAMP = f"{METADATA}timestamp.json"

_OLDER = "somebody put an older state back, or it was restored from a backup"


class Repository(TufRepository):
    """A repository's metadata as one publisher sees them.

    Args:
        storage: where it is kept.
        keys: that this publisher has.
        now: the time; the clock's if not given.
        expired: whether to go on from metadata that have expired, which somebody may be replaying.

    Raises:
        PublishError: it cannot be read, or is not to be believed; the message says why.
    """

    def __init__(
        self, storage: Storage, keys: Keys, now: datetime | None = None, *, expired: bool = False
    ) -> None:
        self.storage = storage
        self.memory = Memory(keys.folder)
        self._keys = keys
        self._expired = expired
        self._next_root = 1
        self._now = now or datetime.now(UTC)
        self._signers: dict[str, list[Signer]] = {}
        self._metadata: dict[str, Metadata[Any]] = {}
        self._new: dict[str, Metadata[Any]] = {}
        self._timestamp_generation = ABSENT
        self._load()

    # What the framework's own repository asks of us.

    def open(self, role: str) -> "Metadata[Any]":
        """A role's metadata, to be changed.

        Raises:
            PublishError: there is no such role.
        """
        if role not in self._metadata:
            known = ", ".join(self.channels()) or "none"
            raise PublishError(f"no channel {role!r} here; there are {known}")
        return deepcopy(self._metadata[role])

    def close(self, role: str, md: "Metadata[Any]") -> None:
        """Sign what was changed; `commit` writes it."""
        signed = md.signed
        if role not in self._new:
            signed.version = self._free_version(role)
        if isinstance(signed, Snapshot):
            signed.meta = self.targets_infos
        elif isinstance(signed, Timestamp):
            signed.snapshot_meta = self.snapshot_info
        signed.expires = self._now + self.lifetime(role)
        md.signatures.clear()
        for signer in self._signers_of(role):
            md.sign(signer, append=True)
        self._metadata[role] = self._new[role] = md

    @property
    def targets_infos(self) -> dict[str, MetaFile]:
        """Versions and hashes of what says which targets there are."""
        return {
            f"{role}.json": self._info(role)
            for role in self._metadata
            if isinstance(self._metadata[role].signed, Targets)
        }

    @property
    def snapshot_info(self) -> MetaFile:
        """Version and hash of the snapshot."""
        return self._info(Snapshot.type)

    # What publishers do.

    def channels(self) -> list[str]:
        """Names of the channels."""
        targets = self._metadata.get(Targets.type)
        if targets is None or not isinstance(targets.signed, Targets):
            return []
        return list((targets.signed.delegations or Delegations({}, {})).roles or {})

    def status(self) -> dict[str, Signed]:
        """What each role signed last."""
        return {role: metadata.signed for role, metadata in self._metadata.items()}

    @staticmethod
    def lifetime(role: str) -> timedelta:
        """How long what a role signs is valid."""
        return timedelta(days=DAYS.get(role, CHANNEL_DAYS))

    def begin(self, channels: Sequence[str]) -> None:
        """Make keys and first metadata.

        Raises:
            PublishError: there is a repository already.
        """
        if self._metadata:
            raise PublishError("there is a repository already; `birdedge keys status` shows it")
        for channel in channels:
            self._check_name(channel)
        root = Root()
        for role in (*OFFLINE, *ONLINE):
            root.add_key(self._keys.make(role), role)
        first: dict[str, Signed] = {
            Root.type: root,
            Targets.type: Targets(delegations=Delegations({}, {})),
            Snapshot.type: Snapshot(meta={}),
            Timestamp.type: Timestamp(snapshot_meta=MetaFile(1)),
        }
        for role, signed in first.items():
            self._metadata[role] = Metadata(signed)
        with self.edit_root():
            pass
        for channel in channels:
            self.add_channel(channel)
        if not channels:
            with self.edit_targets():
                pass

    def add_channel(self, channel: str) -> None:
        """Delegate a channel's targets to a key of its own."""
        self._check_name(channel)
        key = self._keys.make(channel)
        with self.edit_targets() as targets:
            assert targets.delegations is not None and targets.delegations.roles is not None
            targets.delegations.roles[channel] = DelegatedRole(
                channel, [], 1, terminating=True, paths=[f"{channel}/*"]
            )
            targets.add_key(key, channel)
        self._metadata[channel] = Metadata(Targets())
        with self.edit_targets(channel):
            pass

    def renew(self, roles: Sequence[str]) -> None:
        """Sign anew, to be valid from today on."""
        for role in roles:
            with self.edit(role):
                pass

    def rotate(self, role: str) -> None:
        """Replace a role's key; `Keys.adopt_next` ends that when all is written.

        What the role signs is signed by the old key, too, so that no device is shut out between two
        requests.
        """
        self.open(role)  # or there is no such role
        old, new = self._signers_of(role)[0], self._keys.make_next(role)
        self._signers[role] = [old, new]
        if role in self.channels():
            with self.edit_targets() as targets:
                targets.revoke_key(old.public_key.keyid, role)
                targets.add_key(new.public_key, role)
        else:
            with self.edit_root() as root:
                root.revoke_key(old.public_key.keyid, role)
                root.add_key(new.public_key, role)
        if role != Root.type:
            with self.edit(role):
                pass

    def commit(self) -> None:
        """Write what was changed, in the order in which nobody sees half of it.

        Raises:
            ConflictError: somebody else wrote meanwhile; nothing of ours is valid.
            PublishError: it cannot be written, or a key is missing.
        """
        self.do_snapshot(force=Snapshot.type in self._new)
        self.do_timestamp(force=Timestamp.type in self._new)
        # What no device would believe is never written.
        for role, metadata in self._new.items():
            self._verify(self._delegator(role), role, metadata)
        for role, metadata in self._new.items():
            if role not in (Root.type, Timestamp.type):
                self._write(role, metadata)
        if self.storage.read(f"{METADATA}{self._next_root}.root.json") is not None:
            raise ConflictError("somebody else replaced a key meanwhile")
        if Timestamp.type in self._new:
            content = self._new[Timestamp.type].to_bytes(_SERIALIZER)
            self.storage.write(TIMESTAMP, content, self._timestamp_generation)
        # A new root trusts new keys, which have signed what is valid by now.
        if Root.type in self._new:
            self._write(Root.type, self._new[Root.type])
        self._new.clear()
        self._remember()

    def root_bytes(self) -> bytes:
        """The newest root metadata, for devices to begin with."""
        return self._metadata[Root.type].to_bytes(_SERIALIZER)

    def _load(self) -> None:
        anchor = self.memory.root()
        first = self.storage.read(f"{METADATA}1.root.json")
        if first is None and self.storage.read(TIMESTAMP) is None:
            return
        if anchor is None:
            raise PublishError(
                f"{self.memory.root_file} is missing, without which nothing here can be believed; "
                "it is where the repository was begun, and on each device"
            )
        self._load_root(anchor)
        stored = self.storage.read(TIMESTAMP)
        if stored is None:
            raise PublishError(f"{TIMESTAMP} is missing: the repository is damaged")
        self._timestamp_generation = stored.generation
        self._take(Timestamp.type, self._parse(TIMESTAMP, stored.content))
        version = self.timestamp().snapshot_meta.version
        self._take(Snapshot.type, self._read(f"{METADATA}{version}.snapshot.json"))
        files = self.snapshot().meta
        for role in (Targets.type, *(file.removesuffix(".json") for file in files)):
            if role not in self._metadata:
                version = files[f"{role}.json"].version
                self._take(role, self._read(f"{METADATA}{version}.{role}.json"))
        self._remember()

    def _load_root(self, anchor: bytes) -> None:
        """Go from the root that is known to the newest, each signed by the one before."""
        root = self._parse(str(self.memory.root_file), anchor)
        if self.storage.read(f"{METADATA}{root.signed.version}.root.json") is None:
            raise PublishError(f"the repository lacks root {root.signed.version}: {_OLDER}")
        self._metadata[Root.type] = root
        for version in count(root.signed.version + 1):
            self._next_root = version
            stored = self.storage.read(f"{METADATA}{version}.root.json")
            if stored is None:
                break
            new = self._parse(f"{version}.root.json", stored.content)
            self._verify(self.root(), Root.type, new)
            self._verify(new.signed, Root.type, new)
            self._metadata[Root.type] = new
        self._check_age(Root.type, self._metadata[Root.type])

    def _take(self, role: str, metadata: "Metadata[Any]") -> None:
        """Believe what a role signed, if it did, and nothing later is known."""
        self._verify(self._delegator(role), role, metadata)
        known = self.memory.versions().get(role, 0)
        if metadata.signed.version < known:
            raise PublishError(
                f"{role} has version {metadata.signed.version}, {known} is known: {_OLDER}"
            )
        self._check_age(role, metadata)
        self._metadata[role] = metadata

    def _check_age(self, role: str, metadata: "Metadata[Any]") -> None:
        if metadata.signed.is_expired(self._now) and not self._expired:
            raise PublishError(
                f"{role} has expired; if you know why, `birdedge keys renew --expired` goes on "
                "from there, else somebody may be putting an older state back"
            )

    def _remember(self) -> None:
        versions = {role: metadata.signed.version for role, metadata in self._metadata.items()}
        self.memory.remember(self.root_bytes(), versions)

    def _check_name(self, channel: str) -> None:
        if not CHANNEL.fullmatch(channel):
            raise PublishError(f"{channel!r} is no name of a channel: letters, digits, - and _ are")
        if channel in self.channels() or channel in DAYS:
            raise PublishError(f"{channel!r} is the name of a channel or role already")

    def _delegator(self, role: str) -> Root | Targets:
        """Who says whose key is a role's."""
        return self.root() if role in DAYS else self.targets()

    def _verify(self, delegator: Root | Targets, role: str, metadata: "Metadata[Any]") -> None:
        """What somebody slipped into the storage is not signed over."""
        try:
            delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (RepositoryError, ValueError) as error:
            raise PublishError(f"{role} is not signed by its key: {error}") from error

    def _read(self, name: str) -> "Metadata[Any]":
        stored = self.storage.read(name)
        if stored is None:
            raise PublishError(f"{name} is missing: the repository is damaged")
        return self._parse(name, stored.content)

    def _parse(self, name: str, content: bytes) -> "Metadata[Any]":
        try:
            return Metadata.from_bytes(content)
        except RepositoryError as error:
            raise PublishError(f"{name} is damaged: {error}") from error

    def _signers_of(self, role: str) -> list[Signer]:
        if role not in self._signers:
            trusted = self._delegator(role).get_delegated_role(role).keyids
            self._signers[role] = [self._keys.signer(role, trusted)]
        return self._signers[role]

    def _free_version(self, role: str) -> int:
        """The next version that nobody has written; a root's is the next one in any case."""
        known = self._metadata[role]
        # What nobody has signed is new.
        version = known.signed.version + 1 if known.signatures else 1
        if role not in (Root.type, Timestamp.type):
            while self.storage.read(f"{METADATA}{version}.{role}.json") is not None:
                version += 1
        return version

    def _info(self, role: str) -> MetaFile:
        metadata = self._metadata[role]
        return MetaFile.from_data(
            metadata.signed.version, metadata.to_bytes(_SERIALIZER), ["sha256"]
        )

    def _write(self, role: str, metadata: "Metadata[Any]") -> None:
        name = f"{METADATA}{metadata.signed.version}.{role}.json"
        self.storage.write(name, metadata.to_bytes(_SERIALIZER), ABSENT)
