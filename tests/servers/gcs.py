"""A Google Cloud Storage in memory that keeps to its word about generations."""

import base64
import json
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from .base import Caller, Server
from .objects import Objects, RefusedError, StoredObject
from .ranges import part
from .uploads import Uploads

_KNOWN = {
    *("alt", "fields", "prettyPrint", "project", "projection"),
    *("name", "uploadType", "upload_id", "generation", "ifGenerationMatch"),
    *("prefix", "delimiter", "maxResults", "pageToken"),
}
"""Of a query. To ignore others, as another precondition, would let tests pass that should not."""

_PATH = re.compile(r"/(?:(upload|download)/)?storage/v1/b(?:/([^/]+)(?:/(o)(?:/(.+))?)?)?")

_XML_CODES = {401: "AuthenticationRequired", 404: "NoSuchKey", 412: "PreconditionFailed"}


class FakeGcs(Server):
    """Speaks as much of Google's JSON API as google-cloud-storage needs, and plain ``GET``.

    Give its ``url`` as ``client_options={"api_endpoint": url}`` or as STORAGE_EMULATOR_HOST. See
    ``Server`` for what its line can do.

    Args:
        token: without which nobody is let in; empty lets everyone in.
        writable: beginnings of the names that may be written.
        overwrite: whether what is there may be replaced or deleted; the role objectCreator may not.
        port: to listen at; 0 for any that is free.
    """

    def __init__(
        self,
        token: str = "",
        writable: tuple[str, ...] = ("",),
        overwrite: bool = True,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self._token = token
        self._objects = Objects(writable, overwrite)
        self._uploads = Uploads(self._objects, self.url)

    def put(self, bucket: str, name: str, content: bytes) -> int:
        """Write an object as the owner of the bucket, which is made if need be.

        Returns:
            Its generation.
        """
        self._objects.buckets.setdefault(bucket, {})
        return self._objects.put(bucket, name, content, {}).generation

    def contents(self, bucket: str) -> dict[str, bytes]:
        """What lies in a bucket, by name."""
        with self._objects.lock:
            return {name: found.content for name, found in self._objects.bucket(bucket).items()}

    def answer(self, caller: Caller) -> None:
        path, _, query = caller.path.partition("?")
        json_ = _PATH.fullmatch(path)
        try:
            if self._token and caller.headers.get("Authorization") != f"Bearer {self._token}":
                raise RefusedError(401, "authError", "Invalid Credentials")
            if json_:
                self._answer_json(caller, json_, dict(parse_qsl(query, keep_blank_values=True)))
            else:
                self._answer_plain(caller, path)
        except RefusedError as error:
            self._refuse(caller, error, json_ is not None)

    def _answer_json(self, caller: Caller, path: re.Match[str], query: dict[str, str]) -> None:
        if not query.keys() <= _KNOWN:
            unknown = ", ".join(sorted(query.keys() - _KNOWN))
            raise RefusedError(501, "notImplemented", f"FakeGcs knows no {unknown}")
        service, bucket, objects, name = (unquote(each or "") for each in path.groups())
        match service or "storage", caller.command:
            case "upload", "POST" | "PUT":
                if made := self._uploads.take(caller, bucket, query):
                    _say(caller, made.resource(self.url))
            case "storage", "POST" if not bucket:
                new = json.loads(caller.content)["name"]
                self._objects.make(new)
                _say(caller, _bucket(new))
            case "storage", "DELETE" if name:
                self._objects.delete(bucket, name, query)
                caller.say(204)
            case "storage" | "download", "GET" if name:
                found = self._objects.get(bucket, name, query)
                if query.get("alt") == "media":
                    self._send(caller, found)
                else:
                    _say(caller, found.resource(self.url))
            case "storage", "GET" if objects:
                _say(caller, self._list(bucket, query))
            case "storage", "GET" if bucket:
                self._objects.bucket(bucket)
                _say(caller, _bucket(bucket))
            case _:
                what = f"FakeGcs knows no {caller.command} {path[0]}"
                raise RefusedError(501, "notImplemented", what)

    def _answer_plain(self, caller: Caller, path: str) -> None:
        """Google's XML API, of which plain HTTP clients need only this."""
        if caller.command not in ("GET", "HEAD"):
            raise RefusedError(501, "NotImplemented", "FakeGcs takes uploads in JSON only")
        bucket, _, name = path.lstrip("/").partition("/")
        wanted = caller.headers.get("X-Goog-If-Generation-Match")
        query = {} if wanted is None else {"ifGenerationMatch": wanted}
        self._send(caller, self._objects.get(unquote(bucket), unquote(name), query))

    def _list(self, bucket: str, query: dict[str, str]) -> dict[str, Any]:
        after = base64.b64decode(query.get("pageToken", "")).decode()
        most = int(query.get("maxResults", 1000))
        names = self._objects.listing(bucket, query.get("prefix", ""), query.get("delimiter", ""))
        found = list(islice((each for each in names if each[0] > after), most + 1))
        page = found[:most]
        more = {}
        if len(found) > most:
            more["nextPageToken"] = base64.b64encode(page[-1][0].encode()).decode()
        return {
            "kind": "storage#objects",
            "items": [each.resource(self.url) for _, each in page if each],
            "prefixes": [name for name, each in page if each is None],
            **more,
        }

    def _send(self, caller: Caller, found: StoredObject) -> None:
        piece = part(caller.range, len(found.content))
        made = datetime.fromtimestamp(found.generation / 1e6, UTC)
        # Google lets caches keep public objects for an hour unless it is told otherwise.
        caching = "private, max-age=0" if self._token else "public, max-age=3600"
        caller.say(
            piece.status,
            found.content[piece.start : piece.stop],
            Content_Type=found.properties.get("contentType") or "application/octet-stream",
            Cache_Control=found.properties.get("cacheControl") or caching,
            ETag=f'"{base64.b64decode(found.md5).hex()}"',
            Last_Modified=format_datetime(made, usegmt=True),
            Accept_Ranges="bytes",
            X_Goog_Generation=str(found.generation),
            X_Goog_Metageneration="1",
            X_Goog_Hash=f"crc32c={found.crc32c},md5={found.md5}",
            X_Goog_Stored_Content_Length=str(len(found.content)),
            X_Goog_Storage_Class="STANDARD",
            **piece.headers(),
        )

    def _refuse(self, caller: Caller, error: RefusedError, json_: bool) -> None:
        if not json_:
            code = _XML_CODES.get(error.status, error.reason)
            text = f"<Code>{code}</Code><Message>{escape(str(error))}</Message>"
            xml = f"<?xml version='1.0' encoding='UTF-8'?><Error>{text}</Error>"
            caller.say(error.status, xml.encode(), Content_Type="application/xml; charset=UTF-8")
            return
        detail = {"message": str(error), "domain": "global", "reason": error.reason}
        if error.status == 412:
            detail |= {"locationType": "header", "location": "If-Match"}
        if error.status == 401:
            detail |= {"locationType": "header", "location": "Authorization"}
        what = {"code": error.status, "message": str(error), "errors": [detail]}
        _say(caller, {"error": what}, error.status)


def _say(caller: Caller, answer: dict[str, Any], status: int = 200) -> None:
    content = json.dumps(answer).encode()
    caller.say(status, content, Content_Type="application/json; charset=UTF-8")


def _bucket(name: str) -> dict[str, Any]:
    return {"kind": "storage#bucket", "id": name, "name": name, "location": "US-CENTRAL1"}
