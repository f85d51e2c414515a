"""A repository in a bucket of Google Cloud Storage, whose generations keep two publishers apart."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ....runtime.errors import first_line
from ....runtime.extras import needs_extra
from ....runtime.sync.locations import bucket_and_prefix, google_credentials
from . import ABSENT, ConflictError, PublishError, Stored


class GoogleStorage:
    """Objects of a bucket, below a prefix.

    Who this is to Google is found as its libraries do (`GOOGLE_APPLICATION_CREDENTIALS`, `gcloud
    auth application-default login`, or the workload's own identity); no key is read or logged here.

    Args:
        address: ``gs://BUCKET/PREFIX``.

    Raises:
        MissingExtraError: Google's library is not installed.
        PublishError: there are no credentials.
    """

    def __init__(self, address: str) -> None:
        with needs_extra("gcs"):
            from google.cloud import storage
        from google.auth.credentials import AnonymousCredentials

        name, self._prefix = bucket_and_prefix(address)
        credentials = google_credentials()
        if credentials is None:
            if not os.environ.get("STORAGE_EMULATOR_HOST"):
                raise PublishError(
                    "nobody to Google: set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth "
                    "application-default login`"
                )
            credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        # Of a project it would know only to make buckets in.
        client = storage.Client(project="birdedge", credentials=credentials)
        self._bucket = client.bucket(name)

    def read(self, name: str) -> Stored | None:
        """An object; none if there is none."""
        from google.api_core.exceptions import NotFound

        with self._problems(name):
            blob = self._bucket.get_blob(self._prefix + name)
            if blob is None:
                return None
            try:
                content = blob.download_as_bytes(if_generation_match=blob.generation)
            except NotFound:
                return None
            # An emulator may know none; Google always does.
            return Stored(content, int(blob.generation or ABSENT))

    def names(self, prefix: str) -> list[str]:
        """Names that begin so, sorted."""
        with self._problems(prefix):
            blobs = self._bucket.client.list_blobs(self._bucket, prefix=self._prefix + prefix)
            return sorted(blob.name.removeprefix(self._prefix) for blob in blobs)

    def write(self, name: str, content: bytes | Path, generation: int) -> None:
        """Write an object over the generation that was seen."""
        from google.api_core.exceptions import PreconditionFailed

        blob = self._bucket.blob(self._prefix + name)
        # Metadata is asked for by every device, and must not be an hour old.
        blob.cache_control = "no-cache" if name.endswith(".json") else "public, max-age=31536000"
        with self._problems(name):
            try:
                if isinstance(content, bytes):
                    blob.upload_from_string(
                        content, "application/json", if_generation_match=generation
                    )
                else:
                    blob.upload_from_filename(str(content), if_generation_match=generation)
            except PreconditionFailed as error:
                raise ConflictError(f"{name} was written by somebody else meanwhile") from error

    @contextmanager
    def _problems(self, name: str) -> Iterator[None]:
        import requests
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        try:
            yield
        except (GoogleAPIError, GoogleAuthError, requests.RequestException, OSError) as error:
            place = f"gs://{self._bucket.name}/{self._prefix}{name}"
            raise PublishError(f"{place}: {first_line(error)}") from error
