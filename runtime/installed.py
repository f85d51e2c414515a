"""The models of a device: one folder, in which a link says which of them is in use.

    models/
        current -> garden-2-3f2a91c07b1d    in use; swapped by one rename
        garden-2-3f2a91c07b1d/              a bundle
        garden-1-8c01d55e9a72/              the one before, to go back to
        state.json                          what is pinned, blocked, watched
        sync/                               what is signed, and downloads under way

Without a link, the model inside birdedge is in use.
"""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .bundle import MANIFEST, ModelBundle, read_manifest, sha256
from .default import CURRENT, DEFAULT_MODEL
from .errors import BundleError, SyncError

STATE = "state.json"
INSIDE = "inside"
"""What the model inside birdedge is called among those of a folder."""

_DRAFT = ".draft-"


class Blocked(BaseModel):
    """A model that this device will not take again.

    Attributes:
        model: its id.
        reason: why.
        since: when that was found, in UTC.
    """

    model: str
    reason: str
    since: datetime


class Trial(BaseModel):
    """The watch over a new model; see `probation`.

    Attributes:
        digest: the model's.
        since: when it was put to use, in UTC.
        hours: how long it is watched.
        starts: of the service with it that have not come to a good end.
        latency: seconds of one inference when it was tried on this machine; none if unknown.
    """

    digest: str
    since: datetime
    hours: float
    starts: int = 0
    latency: float | None = None


class State(BaseModel):
    """What a device remembers of its models.

    Attributes:
        device: its id, drawn by lot.
        previous: folder of the model before the one in use, or ``inside``.
        pinned: whether the model in use stays, whatever is published.
        blocked: models that proved bad here, by digest.
        trial: the watch over the model in use, while there is one.
        latest: the latest time that was certain, in UTC: an earlier clock is wrong.
    """

    model_config = ConfigDict(extra="ignore")

    device: str = Field(default_factory=lambda: uuid4().hex)
    previous: str | None = None
    pinned: bool = False
    blocked: dict[str, Blocked] = {}
    trial: Trial | None = None
    latest: datetime | None = None


@dataclass(frozen=True)
class InstalledModel:
    """One model of a device.

    Attributes:
        name: of its folder, or ``inside``.
        folder: where it lies.
        model: its id.
        digest: SHA-256 of its manifest.
    """

    name: str
    folder: Path
    model: str
    digest: str


class Installed:
    """A device's models.

    Args:
        folder: where they lie; made when the first one comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> InstalledModel:
        """The model in use; the one inside birdedge where the link leads nowhere."""
        link = self.folder / CURRENT
        with suppress(OSError, BundleError):
            return self._describe(str(link.readlink()))
        return self._describe(INSIDE)

    def at(self, folder: Path) -> InstalledModel:
        """The model in a folder of this device."""
        return self._describe(
            INSIDE if folder.resolve() == DEFAULT_MODEL.resolve() else folder.name
        )

    def to_try(self) -> list[InstalledModel]:
        """What can be loaded, in the order in which it is to be tried: a card may be damaged."""
        found = [self.current()]
        with suppress(BundleError):
            found.append(self._describe(self.state().previous or INSIDE))
        return [*dict.fromkeys((*found, self._describe(INSIDE)))]

    def models(self) -> list[InstalledModel]:
        """All that can be used, by name; the one inside birdedge first."""
        found = [self._describe(INSIDE)]
        for place in sorted(self.folder.iterdir()) if self.folder.is_dir() else []:
            if place.is_symlink() or place.name.startswith(".") or not (place / MANIFEST).is_file():
                continue
            with suppress(BundleError):
                found.append(self._describe(place.name))
        return found

    def find(self, wanted: str) -> InstalledModel:
        """A model by its folder's name, its id, or the beginning of its digest.

        Raises:
            SyncError: there is none, or there are several.
        """
        models = self.models()
        found = [model for model in models if wanted in (model.name, model.model)] or [
            model for model in models if len(wanted) >= 4 and model.digest.startswith(wanted)
        ]
        if len(found) == 1:
            return found[0]
        names = ", ".join(model.name for model in models)
        problem = "is more than one model" if found else "is no model"
        raise SyncError(f"{wanted!r} {problem} in {self.folder}; there are {names}")

    def by_digest(self, digest: str) -> InstalledModel | None:
        """The model with a digest, if it is here."""
        return next((model for model in self.models() if model.digest == digest), None)

    def use(self, name: str) -> None:
        """Swap a model in, by its folder's name; the one before is remembered.

        A power cut leaves the one or the other in use, whole.

        Raises:
            SyncError: the folder cannot be written to.
        """
        before = self.current()
        if before.name == name and (name != INSIDE or not (self.folder / CURRENT).is_symlink()):
            return
        with self.changing() as state:
            state.previous = before.name
        link = self.folder / CURRENT
        with self._writing():
            if name == INSIDE:
                link.unlink(missing_ok=True)
            else:
                draft = self.folder / f"{_DRAFT}{CURRENT}"
                draft.unlink(missing_ok=True)
                draft.symlink_to(name)
                draft.rename(link)
            _sync_folder(self.folder)

    def roll_back(self, reason: str) -> InstalledModel:
        """Block the model in use and go back to the one before it.

        Returns:
            The model that is in use then.

        Raises:
            SyncError: there is none to go back to.
        """
        bad = self.current()
        if bad.name == INSIDE:
            raise SyncError("the model inside birdedge is in use; there is none before it")
        before = self._before(bad)
        self.block(bad.digest, bad.model, reason)
        self.use(before.name)
        with self.changing() as state:
            # Nobody wants to go forward again to what was bad.
            state.previous = None
        return before

    def unblock(self, wanted: str) -> Blocked:
        """Let a model come again that proved bad here, by its id or the beginning of its digest.

        Raises:
            SyncError: none or several such are blocked.
        """
        with self.changing() as state:
            found = [
                digest
                for digest, blocked in state.blocked.items()
                if wanted == blocked.model or (len(wanted) >= 4 and digest.startswith(wanted))
            ]
            if len(found) != 1:
                names = ", ".join(blocked.model for blocked in state.blocked.values()) or "none"
                raise SyncError(f"{wanted!r} is not one of those that are blocked: {names}")
            return state.blocked.pop(found[0])

    def block(self, digest: str, model: str, reason: str) -> None:
        """Take a model never again, unless somebody asks for it."""
        with self.changing() as state:
            state.blocked[digest] = Blocked(model=model, reason=reason, since=datetime.now(UTC))
            if state.trial is not None and state.trial.digest == digest:
                state.trial = None

    @contextmanager
    def new(self, model: str, digest: str) -> Iterator[Path]:
        """Offer a temporary folder that becomes a model when the block ends well.

        Raises:
            SyncError: the folder cannot be written to.
        """
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip(".-")[:60] or "model"
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.folder))
            try:
                yield draft
                draft.chmod(0o755)
                for file in draft.iterdir():
                    _sync_file(file)
                _sync_folder(draft)
                folder = self.folder / f"{readable}-{digest[:12]}"
                if folder.exists():
                    # It is damaged, or it would not have been fetched again.
                    shutil.rmtree(folder)
                draft.rename(folder)
                _sync_folder(self.folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def tidy(self) -> None:
        """Keep the model in use and the one before it; delete others and what is half done."""
        keep = {self.current().name, self.state().previous}
        digests = {model.digest[:12] for model in self.models() if model.name in (*keep, INSIDE)}
        for health in self.folder.glob("health-*.json"):
            if health.stem.removeprefix("health-") not in digests:
                health.unlink(missing_ok=True)
        for place in self.folder.iterdir() if self.folder.is_dir() else ():
            if place.is_symlink() or not place.is_dir():
                continue
            old = place.name not in keep and (place / MANIFEST).is_file()
            if old or place.name.startswith(_DRAFT):
                shutil.rmtree(place, ignore_errors=True)

    def state(self) -> State:
        """What is remembered; nothing, where that is damaged or was never written."""
        try:
            return State.model_validate_json((self.folder / STATE).read_bytes())
        except (OSError, ValidationError):
            return State()

    @contextmanager
    def changing(self) -> Iterator[State]:
        """What is remembered, to be changed; written at the end, whole or not at all.

        Raises:
            SyncError: the folder cannot be written to.
        """
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".state.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                state = self.state()
                yield state
                draft = self.folder / f".{STATE}.new"
                draft.write_text(state.model_dump_json(indent=1) + "\n", encoding="utf-8")
                _sync_file(draft)
                draft.rename(self.folder / STATE)
                _sync_folder(self.folder)

    def _before(self, bad: InstalledModel) -> InstalledModel:
        """What can be gone back to: the one before if it is whole, else the one inside."""
        name = self.state().previous
        if name is not None and name not in (INSIDE, bad.name):
            with suppress(BundleError):
                ModelBundle.load(self.folder / name)
                return self._describe(name)
        return self._describe(INSIDE)

    def _describe(self, name: str) -> InstalledModel:
        folder = DEFAULT_MODEL if name == INSIDE else self.folder / name
        manifest = read_manifest(folder / MANIFEST)
        return InstalledModel(name, folder, manifest.id, sha256(folder / MANIFEST))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SyncError(
                f"cannot write to {self.folder}: {error.strerror or error}; --models names "
                "another folder"
            ) from error


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Have names survive a power cut, too; see fsync(2)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
