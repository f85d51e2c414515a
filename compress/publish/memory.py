"""What a publisher remembers of its repository, beside the keys: who writes to a bucket may not.

Without it, somebody with the bucket's credentials alone could put an older state back, and have it
signed anew.
"""

import json
from contextlib import suppress
from pathlib import Path

from ...runtime.durable import atomic_write
from .storage import PublishError

ROOT, SEEN = "root.json", "seen.json"


class Memory:
    """The newest root, and the newest version of each role's metadata, that were ever seen.

    Args:
        folder: of the keys.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def root_file(self) -> Path:
        """The newest root metadata, which devices begin with, too."""
        return self._folder / ROOT

    def root(self) -> bytes | None:
        """The newest root metadata; none if there never were any."""
        try:
            return self.root_file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PublishError(f"cannot read {self.root_file}: {error.strerror}") from error

    def versions(self) -> dict[str, int]:
        """The newest version of each role's metadata."""
        try:
            seen = json.loads((self._folder / SEEN).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise PublishError(f"cannot read {self._folder / SEEN}: {error}") from error
        return {str(role): int(version) for role, version in seen.items()}

    def remember(self, root: bytes, versions: dict[str, int]) -> None:
        """Keep what was seen; keys that lie where nothing can be written do without."""
        if (root, versions) == (self.root(), self.versions()):
            return
        with suppress(OSError):
            for path, content in (
                (self.root_file, root),
                (self._folder / SEEN, json.dumps(versions, indent=1).encode()),
            ):
                with atomic_write(path) as draft:
                    draft.write_bytes(content)
