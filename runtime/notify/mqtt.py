"""MQTT, for home automation: events, the last bird and its picture, found by Home Assistant.

Topics, below a prefix: ``available`` (``online``, or ``offline`` by last will), ``events`` (JSON),
``last`` (the latest ended visit, JSON, retained), ``present`` (``ON`` while a bird is there,
retained), ``picture`` (JPEG, retained). Home Assistant's discovery messages are retained too, and
sent again at each connection: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery.
"""

import json
import logging
import re
import threading
from collections import deque
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from ..credentials import without_credentials
from ..errors import NotifyError
from ..sightings.pictures import encoded
from ..visits import Visit
from . import event

_WAITING = 1000
"""Events that wait while the broker is away, the newest of them; they take a megabyte or two."""

_TOGETHER = 100
"""Events that are sent before their arrival is waited for."""

_KEEP_ALIVE_SECONDS = 30
_LONGEST_PAUSE_SECONDS = 60
_LAST_WORDS_SECONDS = 2.0

_PORTS = {"mqtt": 1883, "mqtts": 8883}

_log = logging.getLogger(__name__)


class Mqtt:
    """Tells a broker. One that is away, now or later, is tried until it is there.

    Args:
        url: ``mqtt://user:password@host:1883/prefix``, or ``mqtts`` with TLS; the prefix is
            ``birdedge`` if not given.

    Raises:
        NotifyError: it is no such address.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
            host = parts.hostname or ""
            # In a topic that is published, # and + may not be.
            host.encode("idna")  # or looking it up would end paho's thread
            if not host or re.search(r"[#+\0]", unquote(parts.path)):
                raise ValueError
        except (KeyError, ValueError) as error:
            raise NotifyError(
                f"{without_credentials(url)!r} is no broker; mqtt://host, or "
                "mqtts://user:password@host:8883/prefix, would be"
            ) from error
        self._name = without_credentials(url)
        self._prefix = unquote(parts.path).strip("/") or "birdedge"
        self._present: set[str] = set()
        self._told_full = False
        self._last: str | None = None
        self._picture: bytes | None = None
        self._events: deque[str] = deque(maxlen=_WAITING)
        # Visits come in one thread, arrivals are told of in the broker's, a third one sends. Who
        # holds this calls nothing of paho's, which has locks of its own.
        self._changed = threading.Condition()
        self._connected: bool | None = None
        self._news = self._closing = False
        self._arrived: set[int] = set()
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2)
        if parts.scheme == "mqtts":
            client.tls_set()
        if parts.username:
            client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        client.will_set(self._topic("available"), "offline", qos=1, retain=True)
        client.reconnect_delay_set(1, _LONGEST_PAUSE_SECONDS)
        client.on_connect = self._on_connect
        client.on_connect_fail = lambda *_: self._away("out of reach")
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.connect_async(host, port, keepalive=_KEEP_ALIVE_SECONDS)
        client.loop_start()
        self._sender = threading.Thread(target=self._send, name="mqtt", daemon=True)
        self._sender.start()

    def take(self, visit: Visit) -> None:
        """Publish a visit; while the broker is away, it waits, and the last one's picture."""
        told = json.dumps(event(visit), ensure_ascii=False)
        picture = encoded(visit.best.pixels) if visit.ended else None
        with self._changed:
            if picture is not None:
                self._present.discard(visit.id)
                self._last, self._picture = told, picture
            else:
                self._present.add(visit.id)
            if len(self._events) == _WAITING and not self._told_full:
                _log.error("%s is away too long; the oldest visits are not told", self._name)
                self._told_full = True
            self._events.append(told)
            self._tell_of_news()

    def close(self) -> None:
        """Say good-bye."""
        with self._changed:
            self._present.clear()
            self._closing = True
            self._tell_of_news()
        if self._client.is_connected():
            self._sender.join(_LAST_WORDS_SECONDS)
            last = self._client.publish(self._topic("available"), "offline", qos=1, retain=True)
            if last.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                last.wait_for_publish(_LAST_WORDS_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _send(self) -> None:
        """Tell what is new, and wait for its arrival before there is more.

        After a break paho sends again what had not arrived, but not before what is sent at once: a
        bird that has left would be there again.
        """
        while batch := self._next():
            sent = {self._publish(name, payload, retain) for name, payload, retain in batch}
            with self._changed:
                self._changed.wait_for(partial(sent.issubset, self._arrived))
                self._arrived.clear()

    def _next(self) -> list[tuple[str, str | bytes, bool]]:
        """What is so now, and events that waited: topics, payloads, whether the broker keeps it.

        Waits until there is something new; empty at the end.
        """
        with self._changed:
            self._changed.wait_for(lambda: (self._news and self._connected) or self._closing)
            if not self._news or not self._connected:
                return []
            batch: list[tuple[str, str | bytes, bool]] = [
                ("present", "ON" if self._present else "OFF", True)
            ]
            if self._last is not None and self._picture is not None:
                batch += [("last", self._last, True), ("picture", self._picture, True)]
                self._last = self._picture = None
            for _ in range(min(_TOGETHER, len(self._events))):
                batch.append(("events", self._events.popleft(), False))
            self._news = bool(self._events)
            return batch

    def _tell_of_news(self) -> None:
        self._news = True
        self._changed.notify_all()

    def _publish(self, name: str, payload: str | bytes, retain: bool) -> int:
        return self._client.publish(self._topic(name), payload, qos=1, retain=retain).mid

    def _topic(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _on_connect(self, *arguments: Any) -> None:
        reason = arguments[3]
        if reason.is_failure:
            self._away(str(reason).lower())
            return
        if self._connected is False:
            _log.warning("%s is back", self._name)
        for topic, configuration in self._discovery().items():
            self._client.publish(topic, json.dumps(configuration), qos=1, retain=True)
        self._publish("available", "online", retain=True)
        with self._changed:
            self._connected = True
            self._told_full = False
            # It may have forgotten what it kept.
            self._tell_of_news()

    def _on_publish(self, *arguments: Any) -> None:
        with self._changed:
            self._arrived.add(arguments[2])
            self._changed.notify_all()

    def _on_disconnect(self, *arguments: Any) -> None:
        if arguments[3].is_failure:
            self._away("lost")

    def _away(self, why: str) -> None:
        """Tell it once; it is tried for as long as it takes."""
        if self._connected is not False:
            _log.warning("%s: %s; trying again until it is back", self._name, why)
        self._connected = False

    def _discovery(self) -> dict[str, dict[str, Any]]:
        """Home Assistant's entities, by topic."""
        node = re.sub(r"[^A-Za-z0-9_-]+", "_", self._prefix)
        common = {
            "availability_topic": self._topic("available"),
            "device": {
                "identifiers": [f"birdedge_{node}"],
                "name": f"Birds ({self._prefix})" if self._prefix != "birdedge" else "Birds",
                "manufacturer": "birdedge",
            },
        }
        entities: dict[str, tuple[str, dict[str, Any]]] = {
            "last": ("sensor", {
                "name": "Last bird",
                "icon": "mdi:bird",
                "state_topic": self._topic("last"),
                "value_template": "{{ value_json.common_name }}",
                "json_attributes_topic": self._topic("last"),
            }),
            "present": ("binary_sensor", {
                "name": "Bird present",
                "device_class": "occupancy",
                "state_topic": self._topic("present"),
            }),
            "picture": ("image", {
                "name": "Last picture",
                "image_topic": self._topic("picture"),
                "content_type": "image/jpeg",
            }),
        }  # fmt: skip
        return {
            f"homeassistant/{component}/{node}/{name}/config": {
                **configuration,
                **common,
                "unique_id": f"birdedge_{node}_{name}",
            }
            for name, (component, configuration) in entities.items()
        }
