"""What the keeper sees of a fleet, whatever its devices write."""

import io
import json
from pathlib import Path

from rich.console import Console

from birdedge.compress.publish.fleet import last_heartbeats, table, troubles
from birdedge.compress.publish.storage import ABSENT
from birdedge.compress.publish.storage.folder import FolderStorage
from birdedge.runtime.installed import Installed
from birdedge.runtime.sync.heartbeat import PREFIX, heartbeat


def test_what_a_device_wrote_is_shown_as_it_is(tmp_path: Path) -> None:
    beat = heartbeat(Installed(tmp_path / "models"), "[/x]", "current")
    # A device's name is checked as it is read; nobody should have to rely on that here.
    odd = beat.model_copy(
        update={"device": "[/y]" + "a" * 28, "model": "m\x1b[2J", "birdedge": "[/]"}
    )
    shown = io.StringIO()

    Console(file=shown, width=200).print(table([odd]))

    assert all(text in shown.getvalue() for text in ("[/x]", "[/y]aaaa", "m\\x1b[2J", "[/]"))
    assert "\x1b" not in shown.getvalue()


def test_counts_below_zero_are_no_heartbeat(tmp_path: Path) -> None:
    """Their share would be a number that no float can hold."""
    storage = FolderStorage(tmp_path)
    beat = heartbeat(Installed(tmp_path / "models"), "stable", "current")
    counts = [0] * 7 + [1 - 10**400, 0, 10**400]
    told = beat.model_copy(update={"confidence": counts})
    content = json.dumps(told.model_dump(mode="json")).encode()
    storage.write(f"{PREFIX}{beat.device}/1.json", content, ABSENT)

    assert last_heartbeats(storage) == []


def test_a_model_that_was_withdrawn_and_stays_needs_somebody(tmp_path: Path) -> None:
    told = {}
    for sync in ("pinned", "withdrawn"):
        beat = heartbeat(Installed(tmp_path / "models"), "stable", sync).model_copy(
            update={"free_gb": 10.0, "temperature": None}
        )
        told[sync] = troubles(beat, beat.sent)

    assert told == {"pinned": [], "withdrawn": ["its last sync: withdrawn"]}
