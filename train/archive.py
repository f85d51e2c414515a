"""The members of an archive from anywhere, read within bounds that a bomb would leave."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ..runtime.errors import DataError

# CUB-200-2011 unpacks to 1.2 GB: 11,788 photos of 200 species and a few texts (its README and
# images.txt). Four times as much leaves room for lists and photos that somebody added.
_MOST_BYTES = 5_000_000_000
_MOST_MEMBERS = 50_000

# The official names have less than 100 letters; what tar says of a file beside its name (times,
# owners, macOS's attributes) are a few kilobytes. tarfile would read a gigabyte of either.
_LONGEST_NAME = 1024
_LONGEST_HEADER = 1 << 16

# What is said of all members at once, as git does of its commit, each gets a copy of.
_MOST_KEYWORDS = 100

_CHUNK = 1 << 20


@contextmanager
def open_archive(source: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar, compressed or not, whose members `members` then reads.

    Raises:
        DataError: what comes before the first member is too long.
        OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error: it cannot be read.
    """
    with source.open("rb") as file:
        with made_up_headers():  # the first one is read as it is opened
            archive = _BoundedTar.open(str(source), "r:*", fileobj=file)
        with archive:
            yield archive


@contextmanager
def made_up_headers() -> Iterator[None]:
    """What tarfile stumbles over in headers that no tool wrote is a damaged archive, too.

    Raises:
        tarfile.ReadError: it did.
    """
    try:
        yield
    except (ValueError, LookupError, OverflowError) as error:
        raise tarfile.ReadError(f"bad header: {error}") from error


def members(archive: tarfile.TarFile, source: Path) -> Iterator[tarfile.TarInfo]:
    """Each member in turn, to be extracted before the next one is asked for.

    Nothing is decompressed that lies behind the member that breaks a bound. What follows the last
    one is read too, as the checksum of the compression comes after it.

    Args:
        archive: as `open_archive` gives it.
        source: of it, for messages.

    Raises:
        DataError: a member would leave the folder, is neither file nor folder, comes twice, or is
            one too many; or it all unpacks to more than a few times CUB-200-2011.
        OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error: the archive is damaged.
    """
    metered = archive.fileobj
    assert isinstance(metered, _Metered)
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    count = total = 0
    while member := _next(archive, metered):
        name = PurePosixPath(member.name)
        _check_kind(source, name, member)
        # Tools that append name a folder again, which does no harm.
        if name in files or (name in folders and member.isfile()):
            raise DataError(f"{source} is unsafe: {member.name!r} comes twice")
        (files if member.isfile() else folders).add(name)
        count += 1
        total += member.size
        if total > _MOST_BYTES or count > _MOST_MEMBERS:
            raise _too_large(source)
        metered.left = member.size
        yield member
    # Of a damaged archive this may be most; names and contents together are less than twice.
    while metered.stream.read(_CHUNK):
        if metered.tell() > 2 * _MOST_BYTES:
            raise _too_large(source)


def _next(archive: tarfile.TarFile, metered: "_Metered") -> tarfile.TarInfo | None:
    metered.left = _LONGEST_HEADER
    with made_up_headers():
        member = archive.next()
    if member is not None and member.size < 0:
        raise tarfile.ReadError(f"bad header: {member.size} bytes")
    # It would keep them all, each with everything that was said of it.
    archive.members = []  # type: ignore[attr-defined]
    return member


def _check_kind(source: Path, name: PurePosixPath, member: tarfile.TarInfo) -> None:
    if name.is_absolute() or ".." in name.parts:
        raise DataError(f"{source} is unsafe: {member.name!r} would leave the folder")
    # The official archive has neither links nor devices, so there is no safe kind to keep. A sparse
    # file is more on the disk than in the archive.
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise DataError(f"{source} is unsafe: {member.name!r} is a link, a device or a sparse file")
    if len(member.name) > _LONGEST_NAME:
        raise DataError(f"{source} is unsafe: a name of {len(member.name)} letters")
    if len(member.pax_headers) > _MOST_KEYWORDS:
        raise DataError(f"{source} is unsafe: too much is said of {member.name!r}")


def _too_large(source: Path) -> DataError:
    return DataError(
        f"{source} is not CUB-200-2011: it unpacks to more than {_MOST_BYTES / 1e9:g} GB or "
        f"{_MOST_MEMBERS} files; if you trust it, unpack it yourself and give the folder"
    )


class _Metered:
    """A stream that gives no more than a number of bytes.

    tarfile reads names and all else that it keeps in memory, but seeks over what it does not want.
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.stream = stream
        self.left = _LONGEST_HEADER
        self._name = name

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise DataError(
                f"{self._name} is unsafe: more than {_LONGEST_HEADER >> 10} KiB are said of a file "
                "before its contents"
            )
        self.left -= size
        return self.stream.read(size)

    def seek(self, position: int) -> int:
        return self.stream.seek(position)

    def tell(self) -> int:
        return self.stream.tell()

    def close(self) -> None:
        self.stream.close()


class _BoundedTar(tarfile.TarFile):
    """Meters what lies below each compression, which comes here when it has opened its own."""

    @classmethod
    def taropen(
        cls, name: Any, mode: Any = "r", fileobj: Any = None, **options: Any
    ) -> "_BoundedTar":
        metered: Any = _Metered(fileobj, name)  # it has no write(), which reading wants not
        return super().taropen(name, mode, metered, **options)
