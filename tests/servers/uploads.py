"""How contents come into a pretended Google Cloud Storage: in one piece, or in several."""

import json
import re
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from uuid import uuid4

from .base import Caller
from .objects import Objects, RefusedError, StoredObject

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")

_CHECKSUM = re.compile(r"(crc32c|md5)=([^,\s]+)")
_CHECKSUMS = {"crc32c": "crc32c", "md5": "md5Hash"}
"""Names in the header, and in JSON."""


@dataclass
class _Session:
    bucket: str
    name: str
    given: dict[str, Any]
    query: dict[str, str]
    content: bytearray = field(default_factory=bytearray)
    made: StoredObject | None = None


class Uploads:
    """Takes uploads and puts them among the objects.

    Args:
        objects: that they become.
        url: of the server, for sessions have addresses.
    """

    def __init__(self, objects: Objects, url: str) -> None:
        self._objects = objects
        self._url = url
        self._sessions: dict[str, _Session] = {}

    def take(self, caller: Caller, bucket: str, query: dict[str, str]) -> StoredObject | None:
        """Answer a request of an upload, unless it is the last: then its object is returned."""
        body = caller.content
        if caller.command == "PUT" and "upload_id" in query:
            return self._go_on(caller, query["upload_id"], body)
        if query.get("uploadType") == "media":
            given = {"contentType": caller.headers.get("Content-Type", "")}
            return self._objects.write(bucket, query["name"], body, given, query)
        if query.get("uploadType") == "multipart":
            given, content = _parts(caller.headers["Content-Type"], body)
            name = given.get("name") or query["name"]
            return self._objects.write(bucket, name, content, given, query)
        if query.get("uploadType") == "resumable":
            self._begin(caller, bucket, query, json.loads(body or b"{}"))
            return None
        raise RefusedError(501, "notImplemented", "FakeGcs knows no such upload")

    def _begin(
        self, caller: Caller, bucket: str, query: dict[str, str], given: dict[str, Any]
    ) -> None:
        name = given.get("name") or query["name"]
        with self._objects.lock:
            self._objects.may_write(bucket, name, query)
        if kind := caller.headers.get("X-Upload-Content-Type"):
            given.setdefault("contentType", kind)
        key = uuid4().hex
        self._sessions[key] = _Session(bucket, name, given, query)
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={key}"
        caller.say(200, Location=self._url + path, X_GUploader_UploadID=key)

    def _go_on(self, caller: Caller, key: str, body: bytes) -> StoredObject | None:
        session = self._sessions.get(key)
        if session is None:
            raise RefusedError(404, "notFound", "No such upload.")
        # A client that did not hear the answer asks again.
        if session.made is not None:
            return session.made
        total = self._keep(session, caller.headers.get("Content-Range", ""), body)
        if total == len(session.content):
            sums = _CHECKSUM.findall(caller.headers.get("X-Goog-Hash", ""))
            given = session.given | {_CHECKSUMS[name]: value for name, value in sums}
            session.made = self._objects.write(
                session.bucket, session.name, bytes(session.content), given, session.query
            )
            return session.made
        kept = {"Range": f"bytes=0-{len(session.content) - 1}"} if session.content else {}
        caller.say(308, **kept)
        return None

    def _keep(self, session: _Session, content_range: str, body: bytes) -> int | None:
        """Keep a chunk; returns how long all will be, where that is known by now."""
        if not content_range:
            session.content[:] = body
            return len(body)
        asked = _CONTENT_RANGE.fullmatch(content_range)
        if asked is None:
            raise RefusedError(400, "invalid", f"Failed to parse Content-Range {content_range!r}.")
        first, last, total = asked.groups()
        if first is not None:
            known = len(session.content) - int(first)
            if known < 0 or int(last) - int(first) + 1 != len(body):
                raise RefusedError(400, "invalid", f"{content_range} is not what comes next.")
            session.content += body[known:]
        return None if total == "*" else int(total)


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON and the content of ``multipart/related``."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = b"--" + str(message.get_param("boundary")).encode()
    _, first, rest = body.split(boundary, 2)
    given = json.loads(first.partition(b"\r\n\r\n")[2])
    head, _, content = rest.partition(b"\r\n\r\n")
    kind = re.search(rb"content-type:\s*(\S+)", head, re.IGNORECASE)
    if kind is not None:
        given.setdefault("contentType", kind[1].decode())
    return given, content[: content.rindex(b"\r\n" + boundary + b"--")]
