"""Where a repository lies: a bucket of Google Cloud Storage, a web server, or a folder."""

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import urllib3

from ..credentials import without_credentials
from ..errors import SyncError, first_line
from .proxy import connections

_GOOGLE = "https://storage.googleapis.com"
_TOKENS = "https://oauth2.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
"""What a key may do is said by its roles, not by this; see docs/sync.md."""

Headers = Callable[[], dict[str, str]]
"""What each request carries; asked each time, for tokens last an hour."""


@dataclass(frozen=True)
class Location:
    """Where a repository lies and how to be let in.

    Attributes:
        url: its address, ``https://``, ``http://`` or ``file://``, ending in a slash.
        headers: that let one in.
        shown: what people may see of the address.
        bucket: of Google Cloud Storage, if it is one; empty else.
        prefix: within that bucket, ending in a slash unless empty.
    """

    url: str
    headers: Headers
    shown: str
    bucket: str = ""
    prefix: str = ""


def locate(address: str) -> Location:
    """Find a repository by its address: ``gs://BUCKET/PREFIX``, ``https://...``, or a folder.

    Raises:
        SyncError: it is none of these.
    """
    if address.startswith("gs://"):
        return _bucket(address)
    if address.startswith(("http://", "https://")):
        return _web(address)
    if "://" in address or not address:
        raise SyncError(
            f"{without_credentials(address)!r} is no repository; gs://BUCKET/PREFIX, https://... "
            "and folders are"
        )
    url = Path(address).expanduser().absolute().as_uri()
    return Location(f"{url.rstrip('/')}/", dict, address)


def bucket_and_prefix(address: str) -> tuple[str, str]:
    """The two parts of ``gs://BUCKET/PREFIX``; the prefix ends in a slash unless it is empty.

    Raises:
        SyncError: there is no bucket in it.
    """
    bucket, _, prefix = address.removeprefix("gs://").partition("/")
    if not bucket:
        raise SyncError(f"{address!r} names no bucket; gs://BUCKET/PREFIX does")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""


def google_storage() -> str:
    """The address of Google Cloud Storage, or of what stands for it in tests."""
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "")
    if emulator and "://" not in emulator:
        emulator = f"http://{emulator}"
    return emulator.rstrip("/") or _GOOGLE


def _bucket(address: str) -> Location:
    bucket, prefix = bucket_and_prefix(address)
    url = f"{google_storage()}/{bucket}/{quote(prefix)}"
    return Location(url, _GoogleToken(), address, bucket, prefix)


def _web(address: str) -> Location:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError as error:
        raise SyncError(f"{without_credentials(address)!r} is no address: {error}") from error
    if parts.query or parts.fragment:
        raise SyncError(
            f"{without_credentials(address)!r}: a repository has many files, and an address with ? "
            "or # is of one"
        )
    if not parts.hostname:
        raise SyncError(f"{without_credentials(address)!r} names no server")
    headers: dict[str, str] = {}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    server = parts.netloc.rpartition("@")[2]
    url = urlunsplit((parts.scheme, server, f"{parts.path.rstrip('/')}/", "", ""))
    return Location(url, headers.copy, without_credentials(address))


class _GoogleToken:
    """A token of whoever this machine is to Google: a service account's key, or its workload's.

    Who is nobody there asks without one, which is enough for public buckets.
    """

    def __init__(self) -> None:
        self._credentials: Any = None
        self._asked = False

    def __call__(self) -> dict[str, str]:
        if not self._asked:
            self._credentials = google_credentials()
            self._asked = True
        if self._credentials is None:
            return {}
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.urllib3 import Request

        if not self._credentials.valid:
            try:
                self._credentials.refresh(Request(connections(_TOKENS)))  # type: ignore[no-untyped-call]
            except (GoogleAuthError, urllib3.exceptions.HTTPError) as error:
                raise SyncError(f"Google does not give a token: {first_line(error)}") from None
        return {"Authorization": f"Bearer {self._credentials.token}"}


def google_credentials() -> Any:
    """Who this machine is to Google, as Google's libraries look for it; none if nobody.

    Raises:
        SyncError: a key is named, and of no use.
    """
    named = bool(os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"))
    if google_storage() != _GOOGLE and not named:
        return None
    import google.auth
    from google.auth.credentials import with_scopes_if_required
    from google.auth.exceptions import GoogleAuthError

    try:
        # With scopes it would ask Google which project a workload is of, which nobody needs.
        credentials, _ = google.auth.default()
        return with_scopes_if_required(credentials, [_SCOPE])  # type: ignore[no-untyped-call]
    except GoogleAuthError as error:
        if named:
            raise SyncError(f"the key for Google is of no use: {first_line(error)}") from None
        return None
