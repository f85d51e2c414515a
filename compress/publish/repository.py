"""The signed metadata of a repository, changed and written back.

Versioned metadata are new objects; `timestamp.json`, the last to be written, makes all of them
valid at once, and only if nobody else has written it meanwhile. What an interrupted publisher left
is passed over.
"""

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from securesystemslib.signer import Signer
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
from .believed import METADATA, TIMESTAMP, Believed
from .keys import OFFLINE, ONLINE, Keys
from .memory import Memory
from .storage import ABSENT, ConflictError, PublishError, Storage

DAYS = {"root": 365, "targets": 365, "snapshot": 30, "timestamp": 14}
CHANNEL_DAYS = 180
"""How long what a role signs is valid. The shorter, the less can an old state be replayed, and the
more often `birdedge keys renew` must run; a channel's releases change as often as models do."""

_SERIALIZER = JSONSerializer(compact=True)


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
        self._now = now or datetime.now(UTC)
        self._believed = Believed(storage, self.memory, None if expired else self._now)
        self._metadata = self._believed.metadata
        self._signers: dict[str, list[Signer]] = {}
        self._new: dict[str, Metadata[Any]] = {}
        if self._metadata:
            self._remember()

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
            self._believed.verify(role, metadata)
        for role, metadata in self._new.items():
            if role not in (Root.type, Timestamp.type):
                self._write(role, metadata)
        if self.storage.read(f"{METADATA}{self._believed.next_root}.root.json") is not None:
            raise ConflictError("somebody else replaced a key meanwhile")
        if Timestamp.type in self._new:
            content = self._new[Timestamp.type].to_bytes(_SERIALIZER)
            self.storage.write(TIMESTAMP, content, self._believed.timestamp_generation)
        # A new root trusts new keys, which have signed what is valid by now.
        if Root.type in self._new:
            self._write(Root.type, self._new[Root.type])
        self._new.clear()
        self._remember()

    def root_bytes(self) -> bytes:
        """The newest root metadata, for devices to begin with."""
        return self._metadata[Root.type].to_bytes(_SERIALIZER)

    def _remember(self) -> None:
        versions = {role: metadata.signed.version for role, metadata in self._metadata.items()}
        self.memory.remember(self.root_bytes(), versions)

    def _check_name(self, channel: str) -> None:
        if not CHANNEL.fullmatch(channel):
            raise PublishError(f"{channel!r} is no name of a channel: letters, digits, - and _ are")
        if channel in self.channels() or channel in DAYS:
            raise PublishError(f"{channel!r} is the name of a channel or role already")

    def _signers_of(self, role: str) -> list[Signer]:
        if role not in self._signers:
            trusted = self._believed.delegator(role).get_delegated_role(role).keyids
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
