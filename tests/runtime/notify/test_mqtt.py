"""A real broker is told of visits, through its absences, and Home Assistant finds them."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image

from birdedge.runtime.errors import NotifyError
from birdedge.runtime.notify import mqtt
from birdedge.runtime.notify.mqtt import Mqtt
from birdedge.runtime.visits import Visit

MakeVisit = Callable[..., Visit]


class Broker:
    """A mosquitto on 127.0.0.1 that asks for a password and forgets all when it is stopped."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            pytest.skip("no MQTT broker: Debian's package mosquitto is missing")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        passwords = folder / "passwords"
        subprocess.run(
            ["mosquitto_passwd", "-b", "-c", passwords, "me", "secret"], check=True,
            capture_output=True,
        )  # fmt: skip
        passwords.chmod(0o644)
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\npassword_file {passwords}\n"
            + ("user root\n" if os.geteuid() == 0 else "")
        )
        self.url = f"mqtt://me:secret@127.0.0.1:{self.port}/garden/birds"
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._running = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with socket.socket() as caller:
                if caller.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("mosquitto does not answer")

    def stop(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None


class Listener:
    """Hears all that a broker is told."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("me", "secret")
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = lambda _, __, message: self.heard.append(
            (message.topic, message.payload, message.retain)
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for heard, payload, _ in list(self.heard) if heard == topic]

    def wait_for(self, topic: str, count: int = 1) -> list[bytes]:
        end = time.monotonic() + 15
        while len(self.payloads(topic)) < count:
            assert time.monotonic() < end, f"{topic} was heard {len(self.payloads(topic))} times"
            time.sleep(0.02)
        return self.payloads(topic)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


class Line:
    """Between birdedge and a broker: while it is dead, what is sent is swallowed."""

    def __init__(self, port: int) -> None:
        self.dead = threading.Event()
        self._broker = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._server.accept()
                if self.dead.is_set():
                    caller.close()
                    continue
                broker = socket.create_connection(("127.0.0.1", self._broker))
                self._open += [caller, broker]
                for source, sink in ((caller, broker), (broker, caller)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                if not self.dead.is_set():
                    sink.sendall(content)

    def cut(self) -> None:
        """End what is under way; while it is dead, nobody is put through."""
        for end in self._open:
            end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        self._server.close()
        for end in self._open:
            end.close()


@pytest.fixture
def line(broker: Broker) -> Iterator[Line]:
    line = Line(broker.port)
    yield line
    line.close()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker)
    yield listener
    listener.close()


def test_a_visit_is_told_when_it_is_decided_and_when_it_has_ended(
    broker: Broker, listener: Listener, visit: MakeVisit
) -> None:
    teller = Mqtt(broker.url)
    listener.wait_for("garden/birds/present")
    teller.take(visit("Blue Jay", ended=False, id_="a" * 32))
    listener.wait_for("garden/birds/present", 2)
    teller.take(visit("Blue Jay", seconds=30.0, id_="a" * 32))
    events = [json.loads(payload) for payload in listener.wait_for("garden/birds/events", 2)]
    listener.wait_for("garden/birds/picture")
    teller.close()
    listener.wait_for("garden/birds/available", 2)

    assert [(event["type"], event["id"]) for event in events] == [
        ("new", "a" * 32), ("end", "a" * 32)
    ]  # fmt: skip
    assert events[1]["prediction"] == "Cyanocitta cristata (Blue Jay)"
    assert events[1]["common_name"] == "Blue Jay"
    assert events[1]["model_version"] == "model-1"
    assert listener.payloads("garden/birds/available") == [b"online", b"offline"]
    assert listener.payloads("garden/birds/present")[:3] == [b"OFF", b"ON", b"OFF"]
    (last,) = listener.payloads("garden/birds/last")
    assert json.loads(last) == events[1]
    (picture,) = listener.payloads("garden/birds/picture")
    assert Image.open(io.BytesIO(picture)).size == (64, 64)


def test_home_assistant_finds_it_whenever_it_comes(broker: Broker, visit: MakeVisit) -> None:
    teller = Mqtt(broker.url)
    teller.take(visit())
    late = Listener(broker)
    (config,) = late.wait_for("homeassistant/sensor/garden_birds/last/config")
    late.wait_for("homeassistant/image/garden_birds/picture/config")
    late.wait_for("homeassistant/binary_sensor/garden_birds/present/config")
    late.wait_for("garden/birds/last")
    late.close()
    teller.close()

    sensor = json.loads(config)
    assert sensor["state_topic"] == sensor["json_attributes_topic"] == "garden/birds/last"
    assert sensor["availability_topic"] == "garden/birds/available"
    assert sensor["unique_id"] and sensor["device"]["identifiers"]


def test_what_happened_while_the_broker_was_away_is_told_when_it_is_back(
    broker: Broker, visit: MakeVisit, caplog: pytest.LogCaptureFixture
) -> None:
    teller = Mqtt(broker.url)
    first = Listener(broker)
    first.wait_for("garden/birds/available")
    first.close()
    broker.stop()
    time.sleep(0.5)
    for number in range(5):
        teller.take(visit(id_=f"{number}" * 32))
    broker.start()
    listener = Listener(broker)
    events = [json.loads(payload) for payload in listener.wait_for("garden/birds/events", 5)]
    listener.wait_for("homeassistant/sensor/garden_birds/last/config")
    teller.close()
    listener.close()

    assert [event["id"][0] for event in events] == ["0", "1", "2", "3", "4"]
    told = [line for line in caplog.messages if "127.0.0.1" in line]
    assert [line.rpartition(" ")[2] for line in told] == ["back", "back"]
    assert "secret" not in caplog.text


def test_what_was_under_way_when_the_line_went_dead_comes_before_what_is_newer(
    broker: Broker,
    listener: Listener,
    visit: MakeVisit,
    line: Line,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At first nobody is told that it is dead; the other end only stops answering."""
    teller = Mqtt(broker.url.replace(str(broker.port), str(line.port)))
    listener.wait_for("garden/birds/present")
    time.sleep(0.5)  # until its arrival has come back
    line.dead.set()
    teller.take(visit("Blue Jay", ended=False, id_="a" * 32))
    time.sleep(0.5)
    line.cut()
    while "lost" not in caplog.text:
        time.sleep(0.05)
    teller.take(visit("Blue Jay", seconds=30.0, id_="a" * 32))
    line.dead.clear()
    events = [json.loads(told)["type"] for told in listener.wait_for("garden/birds/events", 2)]
    listener.wait_for("garden/birds/last")
    present = listener.payloads("garden/birds/present")
    teller.close()

    assert events == ["new", "end"]
    assert present[-1] == b"OFF"


def test_a_broker_that_is_not_there_yet_is_waited_for(tmp_path: Path, visit: MakeVisit) -> None:
    broker = Broker(tmp_path)
    teller = Mqtt(broker.url)
    teller.take(visit())
    time.sleep(0.5)
    broker.start()
    listener = Listener(broker)
    listener.wait_for("garden/birds/events")
    listener.wait_for("garden/birds/picture")
    teller.close()
    listener.close()
    broker.stop()


def test_no_more_wait_than_memory_bears(
    tmp_path: Path,
    visit: MakeVisit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(mqtt, "_WAITING", 10)
    broker = Broker(tmp_path)
    teller = Mqtt(broker.url)
    for number in range(50):
        teller.take(visit(id_=f"{number:032}"))
    broker.start()
    listener = Listener(broker)
    events = [json.loads(payload) for payload in listener.wait_for("garden/birds/events", 10)]
    listener.wait_for("garden/birds/available")
    (last,) = listener.wait_for("garden/birds/last")
    teller.close()
    listener.close()
    broker.stop()

    assert [int(event["id"]) for event in events] == list(range(40, 50))
    assert int(json.loads(last)["id"]) == 49
    assert caplog.text.count("the oldest visits are not told") == 1


def test_no_bird_is_present_after_a_process_was_killed(broker: Broker, visit: MakeVisit) -> None:
    """Its last word is retained, and was that one was there."""
    first = Mqtt(broker.url)
    first.take(visit(ended=False))
    listener = Listener(broker)
    listener.wait_for("garden/birds/present")
    first._client.loop_stop()  # as good as dead
    second = Mqtt(broker.url)
    while listener.payloads("garden/birds/present")[-1] != b"OFF":
        time.sleep(0.05)
    second.close()
    listener.close()


def test_a_wrong_password_is_told_without_it(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    teller = Mqtt(broker.url.replace("secret", "guess"))
    end = time.monotonic() + 10
    while "not authorized" not in caplog.text:
        assert time.monotonic() < end
        time.sleep(0.05)
    teller.close()

    assert "guess" not in caplog.text


def test_who_is_killed_is_told_to_be_offline(broker: Broker, listener: Listener) -> None:
    program = (
        "import sys, time; from birdedge.runtime.notify.mqtt import Mqtt; "
        "Mqtt(sys.argv[1]); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, broker.url]) as teller:
        listener.wait_for("garden/birds/available")
        os.kill(teller.pid, signal.SIGKILL)

    assert listener.wait_for("garden/birds/available", 2) == [b"online", b"offline"]


@pytest.mark.parametrize(
    "url",
    [
        "garden",
        "http://host",
        "mqtt://",
        "mqtt://host:x",
        "mqtt://:1",
        "mqtt://h/a+b",
        "mqtt://[h",
        "mqtt://h..local",
    ],
)
def test_what_is_no_broker_is_told(url: str) -> None:
    with pytest.raises(NotifyError, match="is no broker; mqtt://host"):
        Mqtt(url)
