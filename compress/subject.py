"""A network from export to verification: each stage a folder, and none of them made twice."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..runtime.bundle import sha256
from ..train.layouts import Photo
from ..train.provenance import data_digest
from .exporters import Exported
from .made_with import made_with
from .make import Made, Quantization, Say, make_targets
from .model import Model
from .photos import batches, draw_by_class, labels_of
from .quantizers import CalibrationSet
from .stages import stage
from .targets import Calibration
from .tolerance import Tolerance
from .verify import REFERENCE, Logits, answers, run_exported


@dataclass(frozen=True)
class Subject:
    """What is exported, quantized and asked.

    Attributes:
        model: the network with its photos.
        work: where its stages lie.
        made_from: what the network is, what converts it, and where, as JSON.
        say: told what goes on, a line at a time.
    """

    model: Model
    work: Path
    made_from: Mapping[str, Any]
    say: Say

    @classmethod
    def of(cls, checkpoint: Path, model: Model, work: Path, say: Say) -> "Subject":
        """The model of a checkpoint.

        Raises:
            DataError: a photo cannot be looked at.
        """
        photos = model.photos
        made_from = {
            **made_with(),
            "checkpoint": sha256(checkpoint),
            "mirror": model.mirrored,
            "photos": data_digest(photos.train + photos.val, photos.root),
        }
        return cls(model, work, made_from, say)

    def make(self, targets: tuple[str, ...], quantization: Quantization | None) -> dict[str, Made]:
        """Export and quantize it; see `make_targets` for what is raised."""
        return make_targets(
            self.model.network,
            self.model.info.preprocess.input_size,
            targets,
            quantization,
            self.work,
            self.made_from,
            self.say,
        )

    def quantization(
        self,
        calibration: Calibration,
        tolerance: Tolerance,
        made_of_twin: Mapping[str, Made] | None = None,
    ) -> Quantization:
        """How it is quantized: within the tolerance, or with the layers that suited its twin.

        Raises:
            DataError: there are no training photos to calibrate on.
        """
        model, preprocess = self.model, self.model.info.preprocess
        drawn = draw_by_class(model.photos.train, calibration.photos)
        self.say(f"calibrating on {len(drawn)} photos, {calibration.method}")
        pictures = [*batches(drawn, preprocess, model.photos.box_margin)]
        photos = CalibrationSet(np.concatenate(pictures), preprocess, calibration.method)
        if made_of_twin is not None:
            settled = {name: item.in_float for name, item in made_of_twin.items()}
            return Quantization(photos, settled=settled, record=self.how(calibration))

        held_out = np.concatenate([*batches(model.photos.val, preprocess, model.photos.box_margin)])
        labels = labels_of(model.photos.val)
        parts = np.array_split(held_out, 10)
        reference = answers(model.network, {}, preprocess, parts)[REFERENCE]

        def judge(name: str, version: Exported) -> str | None:
            logits = run_exported(version, preprocess, held_out)
            return tolerance.broken_by(name, logits, reference, labels)

        return Quantization(photos, judge, record=self.how(calibration, tolerance))

    def how(self, calibration: Calibration, tolerance: Tolerance | None = None) -> dict[str, Any]:
        """What decides how it is quantized, as JSON; no tolerance where layers are settled."""
        photos = min(calibration.photos, len(self.model.photos.train))
        record = {"calibration_photos": photos, "method": calibration.method}
        return record | ({} if tolerance is None else asdict(tolerance))

    def answers(
        self, made: Mapping[str, Made], photos: tuple[Photo, ...], name: str
    ) -> dict[str, Logits]:
        """What the network and its targets say to photos, kept under a name; see `answers`."""
        model, preprocess = self.model, self.model.info.preprocess

        def ask_into(folder: Path) -> dict[str, Any]:
            self.say(f"verifying on {len(photos):,} {name} photos")
            targets = {name: (item.files, item.target) for name, item in made.items()}
            pictures = batches(photos, preprocess, model.photos.box_margin)
            logits: dict[str, Any] = answers(model.network, targets, preprocess, pictures)
            np.savez(folder / "logits.npz", **logits)
            return {}

        inputs = {
            **self.made_from,
            "asked": data_digest(photos, model.photos.root),
            "targets": {name: item.target.model_dump(mode="json") for name, item in made.items()},
        }
        folder = self.work / f"answers-{name}"
        stage(folder, inputs, ask_into)
        with np.load(folder / "logits.npz") as file:
            return dict(file)
