"""A repository in a folder, which any web server can serve."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ....runtime.durable import atomic_write
from . import ABSENT, ConflictError, PublishError, Stored


class FolderStorage:
    """Objects as files.

    Args:
        folder: where they lie; made when the first one comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Stored | None:
        """An object; none if there is none."""
        with self._problems(name):
            try:
                # The generation of what is read, whatever takes its place meanwhile.
                with (self._folder / name).open("rb") as file:
                    return Stored(file.read(), os.fstat(file.fileno()).st_mtime_ns)
            except FileNotFoundError:
                return None

    def names(self, prefix: str) -> list[str]:
        """Names that begin so, sorted."""
        with self._problems(prefix):
            files = (path for path in self._folder.rglob("*") if path.is_file())
            names = (path.relative_to(self._folder).as_posix() for path in files)
            return sorted(
                name
                for name in names
                if name.startswith(prefix) and not name.rpartition("/")[2].startswith(".")
            )

    def write(self, name: str, content: bytes | Path, generation: int) -> None:
        """Write an object over the generation that was seen."""
        path = self._folder / name
        with self._problems(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            with (self._folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if self._generation(name) != generation:
                    raise ConflictError(f"{path} was written by somebody else meanwhile")
                with atomic_write(path, to_disk=True) as draft:
                    if isinstance(content, bytes):
                        draft.write_bytes(content)
                    else:
                        shutil.copyfile(content, draft)
                    draft.chmod(0o644)

    def _generation(self, name: str) -> int:
        """When it was written."""
        try:
            return (self._folder / name).stat().st_mtime_ns
        except FileNotFoundError:
            return ABSENT

    @contextmanager
    def _problems(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PublishError(f"{self._folder / name}: {error.strerror or error}") from error
