"""A model bundle: a folder with `manifest.json`, model files, golden inputs and a model card."""

import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from .errors import BundleError
from .manifest import FileEntry, Manifest
from .texts import what_is_wrong

MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 16 * 2**20
_CHUNK = 2**20
_WORKSHOP, _NEW, _OLD = ".draft", "new", "old"
"""Suffix of the hidden folder that a bundle is made in, and what lies in it."""


@dataclass(frozen=True)
class ModelBundle:
    """A verified bundle on disk.

    Attributes:
        folder: where its files lie.
        manifest: what it says.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def load(cls, folder: Path) -> "ModelBundle":
        """Read a bundle and check every file against its SHA-256.

        Raises:
            BundleError: the folder or a file is missing, changed or damaged.
        """
        bundle = cls(folder, read_manifest(folder / MANIFEST))
        for entry in bundle.manifest.files():
            check_file(folder / entry.name, entry)
        return bundle

    def target_files(self, target: str) -> tuple[Path, ...]:
        """Paths of one target's files, the one to open first.

        Raises:
            BundleError: the bundle has no such target.
        """
        if target not in self.manifest.targets:
            known = ", ".join(sorted(self.manifest.targets))
            raise BundleError(f"{self.manifest.id} has no target {target!r}; it has {known}")
        return tuple(self.folder / entry.name for entry in self.manifest.targets[target].files)

    def digest(self) -> str:
        """SHA-256 of the manifest, and through it of all files."""
        return sha256(self.folder / MANIFEST)


def read_manifest(path: Path) -> Manifest:
    """Read and validate a manifest.

    Raises:
        BundleError: it is missing, too large, not JSON, or says something impossible.
    """
    try:
        status = path.stat()
        # Who opens a pipe waits for another side that may never come.
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path} is no regular file")
        if status.st_size > _MAX_MANIFEST_BYTES:
            raise BundleError(f"{path} is larger than any manifest")
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"no model bundle at {path.parent} (it has no {path.name})") from error
    except NotADirectoryError as error:
        raise BundleError(
            f"{path.parent} is a file; a bundle is a folder "
            "(`birdedge models import` makes one from a model file)"
        ) from error
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise BundleError(f"{path}: {what_is_wrong(error)}") from error


def check_file(path: Path, entry: FileEntry) -> None:
    """Check that a file is the one its entry describes.

    Raises:
        BundleError: it is missing, of another size, or has another SHA-256.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path} is no regular file; {_AGAIN}")
        if status.st_size != entry.bytes:
            raise BundleError(
                f"{path} has {status.st_size:,} bytes instead of {entry.bytes:,}; {_AGAIN}"
            )
        if sha256(path) != entry.sha256:
            raise BundleError(f"{path} is damaged or was changed (SHA-256 differs); {_AGAIN}")
    except FileNotFoundError as error:
        raise BundleError(f"{path} is missing from the bundle; {_AGAIN}") from error
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error


_AGAIN = "install the bundle again"


def describe_file(path: Path) -> FileEntry:
    """The entry of an existing file."""
    return FileEntry(name=path.name, sha256=sha256(path), bytes=path.stat().st_size)


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def new_bundle(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Offer a temporary folder that becomes the bundle when the block ends well.

    It lies in a hidden folder beside the final one, so that the rename is atomic; after an error or
    an interruption nothing of that remains, and an older bundle is where it was. What was killed
    meanwhile is cleared away by the next one for the same place.

    Raises:
        BundleError: the place is taken and is not to be, or cannot be written to.
    """
    folder = folder.resolve()  # a link stays one
    check_place(folder, overwrite=overwrite)
    # Named before it is made: an interruption right after finds it.
    workshop = folder.with_name(f".{folder.name}-{os.urandom(4).hex()}{_WORKSHOP}")
    draft = workshop / _NEW
    try:
        try:
            try:
                draft.mkdir(parents=True)
            except OSError as error:
                raise BundleError(f"cannot write to {folder.parent}: {error.strerror}") from error
            with _held(workshop):
                yield draft
                draft.chmod(0o755)
                # A folder cannot be renamed over another; the older one steps aside meanwhile.
                if folder.exists():
                    folder.rename(workshop / _OLD)
                draft.rename(folder)
        finally:
            _dissolve(workshop, folder)
    except OSError as error:
        raise BundleError(f"cannot write bundle {folder}: {error.strerror or error}") from error


def check_place(folder: Path, *, overwrite: bool = False) -> None:
    """See beforehand whether `new_bundle` would take a place.

    Raises:
        BundleError: it is taken and is not to be, is no bundle's, or cannot be written to.
    """
    folder = folder.resolve()
    _clear_up(folder)
    if folder.exists():
        if not overwrite:
            raise BundleError(f"{folder} exists already; choose another --out, or use --force")
        if not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise BundleError(f"{folder} is not a bundle; it will not be overwritten")
    there = next((parent for parent in folder.parents if parent.exists()), folder)
    if not os.access(there, os.W_OK | os.X_OK):
        raise BundleError(f"cannot write to {there}: {_why_not_written(there)}")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, last of a bundle's files."""
    text = json.dumps(manifest.model_dump(mode="json", exclude_none=True), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _why_not_written(folder: Path) -> str:
    """What writing would fail of, which os.access does not say."""
    if not folder.is_dir():
        return os.strerror(errno.ENOTDIR)
    read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    return os.strerror(errno.EROFS if read_only else errno.EACCES)


@contextmanager
def _held(workshop: Path) -> Iterator[bool]:
    """Hold on to a workshop; the lock goes with the process, however that ends.

    Yields:
        Whether it is held: another process may do so, and not every file system knows locks.
    """
    descriptor = os.open(workshop, os.O_RDONLY | os.O_DIRECTORY)
    try:
        held = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held = False
        yield held
    finally:
        os.close(descriptor)


def _clear_up(folder: Path) -> None:
    """Dissolve the workshops of processes that were killed on the way to this place."""
    name = glob.escape(f".{folder.name}-")
    for workshop in folder.parent.glob(f"{name}{'[0-9a-f]' * 8}{_WORKSHOP}"):
        with suppress(OSError), _held(workshop) as held:
            if held:
                _dissolve(workshop, folder)


def _dissolve(workshop: Path, folder: Path) -> None:
    """Remove a workshop; an older bundle that stepped aside and was not replaced goes back."""
    # The new one is still there where it has not taken the old one's place.
    if (workshop / _NEW).exists() and (workshop / _OLD).exists() and not folder.exists():
        (workshop / _OLD).rename(folder)
    shutil.rmtree(workshop, ignore_errors=True)
