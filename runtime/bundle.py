"""A model bundle: a folder with `manifest.json`, model files, golden inputs and a model card."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from .errors import BundleError
from .manifest import FileEntry, Manifest
from .texts import what_is_wrong

MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 16 * 2**20
_CHUNK = 2**20


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
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
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
        size = path.stat().st_size
        if size != entry.bytes:
            raise BundleError(f"{path} has {size:,} bytes instead of {entry.bytes:,}; {_AGAIN}")
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

    The folder lies beside the final one, so that the rename is atomic; after an error or an
    interruption nothing of it remains, and an older bundle is untouched.

    Raises:
        BundleError: the place is taken and is not to be, or cannot be written to.
    """
    folder = folder.resolve()  # a link stays one
    check_place(folder, overwrite=overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise BundleError(f"cannot write to {folder.parent}: {error.strerror}") from error
    try:
        yield draft
        draft.chmod(0o755)
        _replace(draft, folder)
    except OSError as error:
        raise BundleError(f"cannot write bundle {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_place(folder: Path, *, overwrite: bool = False) -> None:
    """See beforehand whether `new_bundle` would take a place.

    Raises:
        BundleError: it is taken and is not to be, is no bundle's, or cannot be written to.
    """
    folder = folder.resolve()
    if folder.exists():
        if not overwrite:
            raise BundleError(f"{folder} exists already; choose another --out, or use --force")
        if not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise BundleError(f"{folder} is not a bundle; it will not be overwritten")
    there = next((parent for parent in folder.parents if parent.exists()), folder)
    if not os.access(there, os.W_OK | os.X_OK):
        raise BundleError(f"cannot write to {there}: Permission denied")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, last of a bundle's files."""
    text = json.dumps(manifest.model_dump(mode="json", exclude_none=True), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _replace(draft: Path, folder: Path) -> None:
    if not folder.exists():
        draft.rename(folder)
        return
    # A folder cannot be renamed over another; the older one steps aside for that moment.
    aside = folder.with_name(f".{folder.name}-old-{os.getpid()}")
    folder.rename(aside)
    try:
        draft.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
