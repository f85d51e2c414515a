"""Webhooks: each visit that has ended is posted as JSON, however long the other side is away."""

import http.client
import json
import logging
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from collections import deque
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from ..backoff import pause
from ..credentials import without_credentials
from ..errors import NotifyError
from ..visits import Visit
from . import event

_WAITING = 1000
_TIMEOUT_SECONDS = 10.0
_LAST_WORDS_SECONDS = 5.0

_log = logging.getLogger(__name__)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would make a GET of the post, and show the password to whom it leads."""

    def redirect_request(self, *_: Any) -> None:
        """Take it for a refusal."""


_opener = urllib.request.build_opener(_NoRedirects)


def _parts(url: str) -> SplitResult | None:
    """An address in parts; none if nothing can be posted there."""
    try:
        parts = urlsplit(url)
        # Asking for it fails, too.
        well = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        return None
    return parts if well and url.isprintable() and " " not in url else None


class Webhook:
    """Posts visits, in order, from a thread of its own.

    What the other side refuses (a 4xx) is told and left; while it is away or broken (no answer, a
    5xx, 408 or 429), visits wait, the newest thousand of them.

    Args:
        url: ``http(s)://user:password@host/path``.

    Raises:
        NotifyError: it is no such address.
    """

    def __init__(self, url: str) -> None:
        parts = _parts(url)
        if parts is None:
            shown = without_credentials(url)
            raise NotifyError(f"{shown!r} is no webhook; https://host/path would be")
        # The path alone is the secret of many.
        self._name = f"the webhook at {parts.hostname}"
        self._headers = {"Content-Type": "application/json", "User-Agent": "birdedge"}
        if parts.username:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {b64encode(secret.encode()).decode()}"
        host = parts.netloc.rpartition("@")[2]
        self._url = urlunsplit(parts._replace(netloc=host))
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._away = False
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    def take(self, visit: Visit) -> None:
        """Post a visit that has ended."""
        if not visit.ended:
            return
        content = json.dumps(event(visit), ensure_ascii=False).encode()
        with self._changed:
            self._waiting.append(content)
            if len(self._waiting) > _WAITING:
                self._waiting.popleft()
                _log.error("%s is away too long; the oldest visit is not told", self._name)
            self._changed.notify_all()

    def close(self) -> None:
        """Post what waits, if that takes no more than seconds."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(_LAST_WORDS_SECONDS)
        if self._waiting:
            _log.error("%s was not told of %d visits", self._name, len(self._waiting))

    def _run(self) -> None:
        tries = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed.is_set())
                if not self._waiting:
                    return
                content = self._waiting[0]
            if self._post(content):
                tries = 0
                with self._changed:
                    if self._waiting and self._waiting[0] is content:
                        self._waiting.popleft()
                continue
            if self._closed.is_set():
                return
            self._closed.wait(pause(tries))
            tries += 1

    def _post(self, content: bytes) -> bool:
        """Whether it was taken, or will never be."""
        request = urllib.request.Request(self._url, content, self._headers, method="POST")
        try:
            with _opener.open(request, timeout=_TIMEOUT_SECONDS):
                pass
        except urllib.error.HTTPError as error:
            if error.code >= 500 or error.code in (408, 429):
                return self._is_away(f"says {error.code} {error.reason}")
            _log.error("%s refuses a visit: %s %s", self._name, error.code, error.reason)
        # An address that only turns out here to be none, as one with an empty label.
        except ValueError as error:
            _log.error("%s cannot be told: %s", self._name, error)
        except (OSError, http.client.HTTPException) as error:
            return self._is_away(str(getattr(error, "reason", error)) or type(error).__name__)
        if self._away:
            _log.warning("%s is back", self._name)
        self._away = False
        return True

    def _is_away(self, why: str) -> bool:
        if not self._away:
            _log.warning("%s: %s; trying again until it is back", self._name, why)
        self._away = True
        return False
