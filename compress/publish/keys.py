"""The keys that sign: one PEM file a role, encrypted where a passphrase is set.

``root`` and ``targets`` are for rare days and belong offline, on a stick in a drawer; ``snapshot``,
``timestamp`` and the channels' are needed to publish.
"""

import os
from collections.abc import Collection
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from securesystemslib.signer import CryptoSigner, Key

from .storage import PublishError

PASSPHRASE = "BIRDEDGE_KEYS_PASSPHRASE"

OFFLINE = ("root", "targets")
ONLINE = ("snapshot", "timestamp")


class Keys:
    """A folder of private keys.

    Args:
        folder: where they lie.
        passphrase: that encrypts them; of the environment if not given, and none if that has none.
    """

    def __init__(self, folder: Path, passphrase: str | None = None) -> None:
        self.folder = folder
        self._passphrase = passphrase or os.environ.get(PASSPHRASE) or None

    def has(self, role: str) -> bool:
        """Whether a role's key is here."""
        return self._path(role).is_file()

    def signer(self, role: str, trusted: Collection[str]) -> CryptoSigner:
        """A role's key.

        One that was made to follow it, and is trusted already, takes its place: somebody was
        interrupted as it was rotated.

        Args:
            role: whose key.
            trusted: ids of the keys that the repository trusts for that role.

        Raises:
            PublishError: it is not here, is another one, or the passphrase is.
        """
        following = self._path(f"{role}.next")
        if following.is_file() and self._read(following).public_key.keyid in trusted:
            self.adopt_next(role)
        signer = self._read(self._path(role))
        if signer.public_key.keyid not in trusted:
            raise PublishError(
                f"{self._path(role)} is not the key that the repository trusts for {role}; was it "
                "rotated elsewhere?"
            )
        return signer

    def _read(self, path: Path) -> CryptoSigner:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PublishError(f"no key: {path}: {error.strerror}") from error
        encrypted = b"ENCRYPTED" in content
        if encrypted and self._passphrase is None:
            raise PublishError(f"{path} is encrypted; {PASSPHRASE} is not set")
        password = self._passphrase.encode() if encrypted and self._passphrase else None
        try:
            return CryptoSigner(serialization.load_pem_private_key(content, password))
        except (ValueError, TypeError) as error:
            raise PublishError(f"{path} cannot be read: damaged, or another passphrase") from error

    def make(self, role: str) -> Key:
        """Make a role's first key; one that lies there is taken, for its repository is not.

        Raises:
            PublishError: it cannot be written or read.
        """
        if self.has(role):
            return self._read(self._path(role)).public_key
        signer = CryptoSigner.generate_ed25519()
        self._write(role, signer)
        return signer.public_key

    def make_next(self, role: str) -> CryptoSigner:
        """Make the key that will follow a role's, and keep it before anybody is told to trust it.

        Raises:
            PublishError: it cannot be written.
        """
        path = self._path(f"{role}.next")
        if path.is_file():
            return self._read(path)
        signer = CryptoSigner.generate_ed25519()
        self._write(f"{role}.next", signer)
        return signer

    def adopt_next(self, role: str) -> None:
        """Put that key in the place of a role's; the old one stays beside it.

        Raises:
            PublishError: it cannot be written.
        """
        path = self._path(role)
        try:
            # Who was interrupted between the two has the next one alone, which is found by its id.
            if path.is_file():
                path.replace(self._path(f"{role}.old"))
            self._path(f"{role}.next").rename(path)
        except OSError as error:
            raise PublishError(f"cannot write {path}: {error.strerror}") from error

    def _path(self, role: str) -> Path:
        return self.folder / f"{role}.pem"

    def _write(self, role: str, signer: CryptoSigner) -> None:
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if self._passphrase is not None:
            encryption = serialization.BestAvailableEncryption(self._passphrase.encode())
        key = serialization.load_pem_private_key(signer.private_bytes, None)
        content = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
        path = self._path(role)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Readable to nobody else, not even for a moment.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise PublishError(f"cannot write {path}: {error.strerror}") from error
