"""The objects of a pretended Google Cloud Storage, and who may write which of them when."""

import base64
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from threading import RLock
from typing import Any
from urllib.parse import quote

import google_crc32c


class RefusedError(Exception):
    """A request that Google would refuse.

    Args:
        status: of the answer.
        reason: in a word, as Google's JSON has it.
        message: in more words.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class StoredObject:
    """One generation of an object.

    Attributes:
        properties: that came with it, by their names in Google's JSON: ``contentType``,
            ``cacheControl``, ``metadata``...
    """

    bucket: str
    name: str
    content: bytes
    generation: int
    properties: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def md5(self) -> str:
        return base64.b64encode(hashlib.md5(self.content).digest()).decode()

    @cached_property
    def crc32c(self) -> str:
        return base64.b64encode(google_crc32c.value(self.content).to_bytes(4, "big")).decode()

    def resource(self, url: str) -> dict[str, Any]:
        """Itself as Google's JSON has it; see https://cloud.google.com/storage/docs/json_api."""
        path = f"storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"
        # A generation is the time at which it was made, in microseconds.
        made = datetime.fromtimestamp(self.generation / 1e6, UTC)
        stamp = made.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "contentType": "application/octet-stream",
            **self.properties,
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": f"{url}/{path}",
            "mediaLink": f"{url}/download/{path}?generation={self.generation}&alt=media",
            "bucket": self.bucket,
            "name": self.name,
            "generation": str(self.generation),
            "metageneration": "1",
            "storageClass": "STANDARD",
            "size": str(len(self.content)),
            "md5Hash": self.md5,
            "crc32c": self.crc32c,
            "etag": base64.b64encode(str(self.generation).encode()).decode(),
            "timeCreated": stamp,
            "updated": stamp,
        }


class Objects:
    """All buckets and what lies in them; each change is checked and made in one step.

    Args:
        writable: beginnings of the names that may be written.
        overwrite: whether what is there may be replaced or deleted.
    """

    def __init__(self, writable: tuple[str, ...], overwrite: bool) -> None:
        self.buckets: dict[str, dict[str, StoredObject]] = {}
        self.lock = RLock()
        self._writable = writable
        self._overwrite = overwrite
        self._last = 0

    def make(self, bucket: str) -> None:
        with self.lock:
            if bucket in self.buckets:
                raise RefusedError(409, "conflict", f"There is a bucket {bucket} already.")
            self.buckets[bucket] = {}

    def bucket(self, name: str) -> dict[str, StoredObject]:
        if name not in self.buckets:
            raise RefusedError(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[name]

    def get(self, bucket: str, name: str, query: dict[str, str]) -> StoredObject:
        with self.lock:
            found = self.bucket(bucket).get(name)
            if found is None or query.get("generation") not in (None, str(found.generation)):
                raise RefusedError(404, "notFound", f"No such object: {bucket}/{name}")
            self._match(found, query)
            return found

    def may_write(self, bucket: str, name: str, query: dict[str, str]) -> None:
        """Raise if an object may not be written: said when an upload begins and when it ends."""
        there = self.bucket(bucket).get(name)
        if not name.startswith(self._writable):
            raise _forbidden("storage.objects.create", name)
        # Google does not say which of these two it looks at first.
        self._match(there, query)
        if there is not None and not self._overwrite:
            raise _forbidden("storage.objects.delete", name)

    def write(
        self, bucket: str, name: str, content: bytes, given: dict[str, Any], query: dict[str, str]
    ) -> StoredObject:
        with self.lock:
            self.may_write(bucket, name, query)
            return self.put(bucket, name, content, given)

    def put(self, bucket: str, name: str, content: bytes, given: dict[str, Any]) -> StoredObject:
        """Write an object, whoever may; its checksums, where given, must be right."""
        with self.lock:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            made = StoredObject(bucket, name, content, self._last, given)
            for key, right in (("crc32c", made.crc32c), ("md5Hash", made.md5)):
                if given.get(key, right) != right:
                    message = f"Provided {key} {given[key]!r} doesn't match calculated {right!r}."
                    raise RefusedError(400, "invalid", message)
            self.bucket(bucket)[name] = made
            return made

    def delete(self, bucket: str, name: str, query: dict[str, str]) -> None:
        with self.lock:
            if not name.startswith(self._writable) or not self._overwrite:
                raise _forbidden("storage.objects.delete", name)
            self.get(bucket, name, query)
            del self.buckets[bucket][name]

    def listing(
        self, bucket: str, prefix: str, delimiter: str
    ) -> Iterator[tuple[str, StoredObject | None]]:
        """Names in order, each with its object, or none where it is a "folder"."""
        with self.lock:
            there = sorted(self.bucket(bucket).items())
        last = ""
        for name, found in there:
            if not name.startswith(prefix):
                continue
            folder, cut, _ = name[len(prefix) :].partition(delimiter or "\0")
            key = f"{prefix}{folder}{cut}" if cut else name
            if not cut or key != last:
                yield key, None if cut else found
            last = key

    def _match(self, there: StoredObject | None, query: dict[str, str]) -> None:
        wanted = query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != (there.generation if there else 0):
            message = "At least one of the pre-conditions you specified did not hold."
            raise RefusedError(412, "conditionNotMet", message)


def _forbidden(permission: str, name: str) -> RefusedError:
    return RefusedError(
        403,
        "forbidden",
        f"birdedge@test.iam.gserviceaccount.com does not have {permission} access to {name}.",
    )
