"""What a repository says, believed only where it is signed: the client of The Update Framework.

The framework's client refuses what is older than before, expired, mixed, tampered with, too large
or signed by others; here each refusal is a sentence that says what happened and who can mend it.
See https://theupdateframework.github.io/specification/latest/#detailed-client-workflow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import urllib3
from pydantic import ValidationError
from tuf.api import exceptions as tuf
from tuf.api.metadata import TargetFile
from tuf.ngclient import FetcherInterface, Updater

from ..durable import atomic_write
from ..errors import SyncError
from ..manifest import FileEntry
from .clock import CLOCK_OFF
from .line import Line
from .release import MAX_CHANNEL_BYTES, Channel, channel_target
from .targets import object_name, target_of

_NOT_THERE = (403, 404)
"""A bucket that may not be listed says 403 of what it does not have."""


class TrustedRepository:
    """A repository as far as it is to be believed.

    Args:
        folder: where metadata is kept between two syncs; never is what was seen gone back on.
        line: to the repository.
        channel: whose releases are asked for.
        root: the first root metadata, which came by another way than the line.
    """

    def __init__(self, folder: Path, line: Line, channel: str, root: bytes) -> None:
        self.line = line
        self.channel = channel
        self._fetcher = _Fetcher(line)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with self._refusals():
            self._updater = Updater(
                str(folder),
                f"{line.location.url}metadata/",
                fetcher=self._fetcher,
                bootstrap=root,
            )

    def releases(self) -> Channel:
        """What the channel offers now: two requests where nothing changed since the last time.

        Raises:
            SyncError: the repository cannot be reached, or is not to be believed; the message says
                what is the matter.
        """
        with self._refusals():
            self._updater.refresh()
            info = self._updater.get_targetinfo(channel_target(self.channel))
            if info is None:
                raise SyncError(
                    f"{self.line.location.shown} offers nothing in a channel {self.channel!r}; "
                    "`birdedge publish` does"
                )
            kept = self._folder / f"{self.channel}.channel.json"
            if self._updater.find_cached_target(info, str(kept)) is None:
                if info.length > MAX_CHANNEL_BYTES:
                    raise SyncError(f"{info.path} is larger than any channel")
                content = self._fetcher.download_bytes(self.address(info), info.length)
                info.verify_length_and_hashes(content)
                with atomic_write(kept) as draft:
                    draft.write_bytes(content)
            try:
                return Channel.model_validate_json(kept.read_bytes())
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(str(part) for part in first["loc"])
                raise SyncError(f"{info.path}: {place}: {first['msg']}; update birdedge") from error

    def file(self, entry: FileEntry) -> TargetFile:
        """What is signed of one of a bundle's files.

        Raises:
            SyncError: nothing is, or something else than the bundle says.
        """
        wanted = target_of(self.channel, entry)
        with self._refusals():
            info = self._updater.get_targetinfo(wanted.path)
        if info is None:
            raise SyncError(f"{wanted.path} is not signed by the channel {self.channel!r}")
        if (info.length, info.hashes.get("sha256")) != (entry.bytes, entry.sha256):
            raise SyncError(f"{wanted.path} is signed as another file than the manifest says")
        return info

    def address(self, info: TargetFile) -> str:
        """Where a target's content lies."""
        return self.line.location.url + object_name(info)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (tuf.RepositoryError, tuf.DownloadError, urllib3.exceptions.HTTPError) as error:
            kind = type(error).__name__
            raise SyncError(why(error, self.line, self._fetcher.last), kind) from error
        except (OSError, ValueError) as error:
            raise SyncError(f"cannot keep what is signed in {self._folder}: {error}") from error


class _Fetcher(FetcherInterface):
    """Metadata over our own line, and through memory: a read-only machine has no place for more."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.last = ""

    def download_bytes(self, url: str, max_length: int) -> bytes:
        content = bytearray()
        for chunk in self.fetch(url):
            content += chunk
            if len(content) > max_length:
                raise tuf.DownloadLengthMismatchError(f"more than {max_length:,} bytes")
        return bytes(content)

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.last = url.rpartition("/")[2]
        try:
            with self._line.open(url) as (_, chunks):
                yield from chunks
        except FileNotFoundError as error:
            raise tuf.DownloadHTTPError("there is no such file", _NOT_THERE[1]) from error
        except OSError as error:
            raise tuf.DownloadError(str(error)) from error


def why(error: Exception, line: Line, name: str) -> str:
    """A refusal in one sentence: what happened, and what can be done.

    Args:
        error: what the framework or the line said.
        line: on which it happened.
        name: of the file that was asked for last.
    """
    place = line.location.shown
    if isinstance(error, SyncError):
        return str(error)
    if isinstance(error, tuf.ExpiredMetadataError):
        return _expired(str(error), line)
    if isinstance(error, tuf.UnsignedMetadataError):
        return (
            f"wrong key: {name} of {place} is not signed by the keys that this device trusts; "
            "if its keeper made new keys without the old ones, give the new root with --root"
        )
    if isinstance(error, tuf.BadVersionNumberError):
        return (
            f"rollback refused: {place} offers older metadata than this device has seen ({error}); "
            "somebody replays it, or it was restored from a backup"
        )
    if isinstance(error, tuf.LengthOrHashMismatchError):
        return f"mixed or tampered metadata: {name} of {place} is not what was signed ({error})"
    if isinstance(error, tuf.DownloadLengthMismatchError):
        return f"oversize refused: {name} of {place} is larger than was signed ({error})"
    if isinstance(error, tuf.SlowRetrievalError):
        return f"too slow: {name} of {place} came with {error}; it is tried again later"
    if isinstance(error, tuf.DownloadHTTPError):
        if error.status_code in (401, *_NOT_THERE):
            return (
                f"{place} does not give {name} ({error}); is the address right, has it been "
                "published, and may this device read it?"
            )
        return f"{place} does not answer well ({error}); it is tried again later"
    return f"cannot reach {place} ({_reason(error)}); it is tried again later"


def _expired(text: str, line: Line) -> str:
    now = datetime.now(UTC)
    told = line.server_time
    if told is not None and abs(told - now) > CLOCK_OFF:
        return (
            f"clock: this machine's says {now:%Y-%m-%d}, the server's {told:%Y-%m-%d}; what is "
            "signed seems expired (`timedatectl` sets it)"
        )
    if "root" in text:
        return (
            f"expired root: {line.location.shown} is trusted no longer; its keeper runs "
            "`birdedge keys renew root` with the offline key"
        )
    role = text.removeprefix("New ").split()[0].removesuffix(".json")
    return (
        f"freeze refused: the {role} metadata of {line.location.shown} has expired; its keeper "
        "runs `birdedge keys renew`, or somebody keeps newer ones from us"
    )


def _reason(error: BaseException) -> str:
    """What is at the bottom of a chain of exceptions, in a few words."""
    while True:
        below = error.__cause__ or getattr(error, "reason", None)
        if not isinstance(below, BaseException) or below is error:
            break
        error = below
    text = str(error).rpartition(">: ")[2] or type(error).__name__
    return text[:200]
