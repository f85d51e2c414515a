"""What a bundle's files are called in a repository: readable, and told apart by content."""

from tuf.api.metadata import TargetFile

from ..manifest import FileEntry


def target_of(channel: str, entry: FileEntry) -> TargetFile:
    """The TUF target that is one file of a bundle."""
    path = f"{channel}/{entry.sha256[:16]}.{entry.name}"
    return TargetFile(entry.bytes, {"sha256": entry.sha256}, path)


def object_name(info: TargetFile) -> str:
    """Where a target's content lies: its name begins with its hash ("consistent snapshots")."""
    folder, _, name = info.path.rpartition("/")
    return f"targets/{folder}/{info.hashes['sha256']}.{name}"
