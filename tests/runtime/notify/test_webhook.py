"""Visits are posted in order, once each, however long the other side is away."""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from birdedge.runtime import backoff
from birdedge.runtime.errors import NotifyError
from birdedge.runtime.notify import webhook
from birdedge.runtime.notify.webhook import Webhook
from birdedge.runtime.visits import Visit

MakeVisit = Callable[..., Visit]


class Service:
    """Takes what is posted, or answers with a code that it is told to."""

    def __init__(self) -> None:
        self.taken: list[dict] = []
        self.asked: list[str | None] = []
        self.answer = 200
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                service.asked.append(self.headers["Authorization"])
                if service.answer == 200:
                    service.taken.append(json.loads(content))
                self.send_response(service.answer)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://me:p%40ss@127.0.0.1:{self._server.server_port}/birds?token=secret"
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    service = Service()
    yield service
    service.close()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_visits_that_have_ended_are_posted(service: Service, visit: MakeVisit) -> None:
    teller = Webhook(service.url)
    teller.take(visit("Mallard", ended=False))
    teller.take(visit("Blue Jay"))
    teller.take(visit(None))
    teller.close()

    assert [event["common_name"] for event in service.taken] == ["Blue Jay", "unknown"]
    assert {event["type"] for event in service.taken} == {"end"}
    assert service.asked[0] == f"Basic {b64encode(b'me:p@ss').decode()}"


@pytest.mark.parametrize("code", [500, 503, 429])
def test_while_it_is_broken_visits_wait(
    service: Service,
    visit: MakeVisit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    code: int,
) -> None:
    monkeypatch.setattr(backoff, "_LONGEST_SECONDS", 0.2)
    service.answer = code
    teller = Webhook(service.url)
    for number in range(5):
        teller.take(visit(id_=f"{number}" * 32))
    wait_until(lambda: len(service.asked) > 3)
    service.answer = 200
    wait_until(lambda: len(service.taken) == 5)
    teller.close()

    assert [event["id"][0] for event in service.taken] == ["0", "1", "2", "3", "4"]
    assert len([line for line in caplog.messages if f"says {code}" in line]) == 1
    assert "is back" in caplog.text
    assert "secret" not in caplog.text and "p@ss" not in caplog.text


@pytest.mark.parametrize("code", [404, 301, 302, 303])
def test_what_it_refuses_is_told_and_left(
    service: Service, visit: MakeVisit, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """A redirect would make a GET of it, and show the password to another one."""
    service.answer = code
    teller = Webhook(service.url)
    teller.take(visit())
    wait_until(lambda: f"refuses a visit: {code}" in caplog.text)
    service.answer = 200
    teller.take(visit("Mallard"))
    teller.close()

    assert [event["common_name"] for event in service.taken] == ["Mallard"]


def test_no_more_wait_than_memory_bears_and_the_end_is_no_longer_than_seconds(
    service: Service,
    visit: MakeVisit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(webhook, "_WAITING", 3)
    service.close()
    teller = Webhook(service.url)
    for _ in range(5):
        teller.take(visit())
    start = time.monotonic()
    teller.close()

    assert time.monotonic() - start < 8
    assert caplog.text.count("the oldest visit is not told") == 2
    assert "was not told of 3 visits" in caplog.text


@pytest.mark.parametrize(
    "url",
    ["birds", "ftp://host/x", "http://", "mqtt://host", "http://h/a b", "http://[h", "http://h:x"],
)
def test_what_is_no_webhook_is_told(url: str) -> None:
    with pytest.raises(NotifyError, match="is no webhook"):
        Webhook(url)


def test_an_address_that_turns_out_to_be_none_does_not_end_the_telling(
    visit: MakeVisit, caplog: pytest.LogCaptureFixture
) -> None:
    teller = Webhook("http://home..local/")
    teller.take(visit())
    teller.take(visit())
    teller.close()

    assert caplog.text.count("cannot be told") == 2
