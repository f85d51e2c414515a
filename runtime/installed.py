"""The models of a device: one folder, in which a link says which of them is in use.

    models/
        current -> garden-2-3f2a91c07b1d    in use; swapped by one rename
        garden-2-3f2a91c07b1d/              a bundle
        garden-1-8c01d55e9a72/              the one before, to go back to
        state.json                          what is pinned, blocked, watched
        sync/                               what is signed, and downloads under way

Without a link, the model inside birdedge is in use.
"""

import re
import shutil
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .bundle import MANIFEST, ModelBundle, read_manifest, sha256
from .default import CURRENT, DEFAULT_MODEL
from .durable import atomic_write, draft_of, sync_to_disk
from .errors import BundleError, SyncError
from .health import health_file
from .model_state import Blocked, State, changing_state, read_state

INSIDE = "inside"
"""What the model inside birdedge is called among those of a folder."""

_DRAFT = ".draft-"


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
        folder: where they lie; made when something is kept there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def current(self) -> InstalledModel:
        """The model in use; the one inside birdedge where the link leads nowhere."""
        with suppress(OSError, BundleError):
            return self._describe(self._linked())
        return self._describe(INSIDE)

    def models(self) -> list[InstalledModel]:
        """All that can be used, by name; the one inside birdedge first."""
        found = [self._describe(INSIDE)]
        for place in self.places():
            with suppress(BundleError):
                found.append(self._describe(place.name))
        return found

    def places(self) -> list[Path]:
        """The folders of all models that were brought, damaged ones too."""
        return [
            place
            for place in (sorted(self.folder.iterdir()) if self.folder.is_dir() else [])
            if not (place.is_symlink() or place.name.startswith("."))
            and (place / MANIFEST).is_file()
        ]

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

    def at(self, folder: Path) -> InstalledModel:
        """The model in a folder of this device.

        Raises:
            BundleError: it is gone, or damaged.
        """
        inside = folder.resolve() == DEFAULT_MODEL.resolve()
        return self._describe(INSIDE if inside else folder.name)

    def to_try(self) -> list[InstalledModel]:
        """What can be loaded, in the order in which it is to be tried: a card may be damaged."""
        found = []
        with suppress(OSError, BundleError):
            found.append(self._describe(self._linked()))
        return [*dict.fromkeys((*found, self._before(self.state())))]

    def use(self, name: str) -> None:
        """Swap a model in, by its folder's name; the one before is remembered.

        Raises:
            SyncError: it is gone, or the folder cannot be written to.
        """
        with self.changing() as state:
            before = self.current().name
            if before != name:
                self._describe(name)
                state.previous = before
                self._link(name)

    def roll_back(self, digest: str, reason: str) -> InstalledModel:
        """Block a model and, if it is the one in use, go back to the one before it.

        Returns:
            The model that is in use then.

        Raises:
            SyncError: it is the one inside birdedge, or the folder cannot be written to.
        """
        bad = self.current()
        if bad.name == INSIDE and bad.digest == digest:
            raise SyncError("the model inside birdedge is in use; there is none before it")
        with self.changing() as state:
            bad = self.current()
            model = bad if bad.digest == digest else self.by_digest(digest)
            # Blocked last: a power cut before leaves a model that will be tried and watched again.
            if bad.digest == digest:
                self._go_back(state)
            _block(state, digest, model.model if model else digest[:12], reason)
        return self.current()

    def leave(self, withdrawn: Container[str]) -> bool:
        """Go back from the model in use, if sync brought it and it was taken back since.

        Nothing is blocked: what was taken back may be published again. A model that somebody pinned
        stays, and so does one that somebody put there. Nothing leads back to what was taken back.

        Args:
            withdrawn: digests of all that was taken back.

        Returns:
            Whether another model is in use now.

        Raises:
            SyncError: the folder cannot be written to.
        """
        with self.changing() as state:
            if self._before(state).digest in withdrawn:
                state.previous = None
            bad = self.current()
            if state.pinned or bad.name not in state.brought or bad.digest not in withdrawn:
                return False
            self._go_back(state)
            _end_trial(state, bad.digest)
        return True

    def block(self, digest: str, model: str, reason: str) -> None:
        """Take a model never again, unless somebody asks for it."""
        with self.changing() as state:
            _block(state, digest, model, reason)

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

    @contextmanager
    def new(self, model: str, digest: str) -> Iterator[Path]:
        """Offer a temporary folder that becomes a model when the block ends well.

        Raises:
            SyncError: the folder cannot be written to.
        """
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip(".-")[:60] or "model"
        name = f"{readable}-{digest[:12]}"
        with self._problems():
            self.folder.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.folder))
        try:
            yield draft
            with self._problems():
                draft.chmod(0o755)
                for file in draft.iterdir():
                    sync_to_disk(file)
                sync_to_disk(draft)
            with self.changing() as state:
                if name not in state.brought:
                    state.brought.append(name)
            with self._problems():
                # One that is there is damaged, or it would not have been fetched again.
                if (self.folder / name).exists():
                    shutil.rmtree(self.folder / name)
                draft.rename(self.folder / name)
                sync_to_disk(self.folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def tidy(self) -> None:
        """Of what sync brought, keep the model in use and the one before; drop what is half done.

        Who else keeps models in this folder finds them untouched.
        """
        with self.changing() as state:
            keep = {self.current().name, state.previous}
            for name in state.brought:
                if name not in keep:
                    shutil.rmtree(self.folder / name, ignore_errors=True)
            state.brought = [name for name in state.brought if name in keep]
            draft_of(self.folder / CURRENT).unlink(missing_ok=True)
        for draft in self.folder.glob(f"{_DRAFT}*"):
            shutil.rmtree(draft, ignore_errors=True)
        healths = {health_file(self.folder, model.digest) for model in self.models()}
        for file in (*self.folder.glob(".health-*"), *self.folder.glob("health-*.json")):
            if file not in healths:
                file.unlink(missing_ok=True)

    def state(self) -> State:
        """What is remembered; nothing, where that is damaged or was never written.

        Raises:
            SyncError: it may not be read.
        """
        with self._problems("read"):
            return read_state(self.folder)

    @contextmanager
    def changing(self) -> Iterator[State]:
        """What is remembered, to be changed, by nobody else meanwhile.

        Raises:
            SyncError: it cannot be read or written.
        """
        with self._problems(), changing_state(self.folder) as state:
            yield state

    def _linked(self) -> str:
        return (self.folder / CURRENT).readlink().name

    def _link(self, name: str) -> None:
        """Have the link lead to a model; a power cut leaves the old one or the new one, whole."""
        link = self.folder / CURRENT
        if name == INSIDE:
            link.unlink(missing_ok=True)
        else:
            with atomic_write(link) as draft:
                draft.symlink_to(name)
        sync_to_disk(self.folder)

    def _go_back(self, state: State) -> None:
        self._link(self._before(state).name)
        # Nobody wants to go forward again to what was bad.
        state.previous = None

    def _before(self, state: State) -> InstalledModel:
        """What can be gone back to: the one before if it is whole and not blocked, or inside."""
        with suppress(OSError):
            if state.previous not in (None, INSIDE, self._linked()):
                with suppress(BundleError):
                    ModelBundle.load(self.folder / str(state.previous))
                    before = self._describe(str(state.previous))
                    if before.digest not in state.blocked:
                        return before
        return self._describe(INSIDE)

    def _describe(self, name: str) -> InstalledModel:
        folder = DEFAULT_MODEL if name == INSIDE else self.folder / name
        manifest = read_manifest(folder / MANIFEST)
        return InstalledModel(name, folder, manifest.id, sha256(folder / MANIFEST))

    @contextmanager
    def _problems(self, verb: str = "write to") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SyncError(
                f"cannot {verb} {self.folder}: {error.strerror or error}; --models names another "
                "folder"
            ) from error


def _block(state: State, digest: str, model: str, reason: str) -> None:
    state.blocked[digest] = Blocked(model=model, reason=reason, since=datetime.now(UTC))
    state.failures.pop(digest, None)
    _end_trial(state, digest)


def _end_trial(state: State, digest: str) -> None:
    if state.trial is not None and state.trial.digest == digest:
        state.trial = None
