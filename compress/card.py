"""The model card that travels inside a bundle: what it is, how it was made, what it can do."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..runtime.manifest import Manifest
from .verify import Verification

CARD = "MODEL_CARD.md"


@dataclass(frozen=True)
class TargetFigures:
    """One row of the figures.

    Attributes:
        megabytes: size of the target's files, in 10^6 bytes.
        val: over the validation photos.
        test: over the test photos, if there are any.
    """

    megabytes: float
    val: Verification
    test: Verification | None

    @property
    def reported(self) -> Verification:
        """Over the test photos, or where there are none the validation photos."""
        return self.test or self.val


HEADINGS = (
    "target",
    "MB",
    "val",
    "test [95 % interval]",
    "named",
    "of those",
    "agreement",
    "ECE",
)

_BY_ITSELF = """Validation photos chose the weights and
the temperature, so their figure is a little too good."""

_BY_TWIN = """The validation figure
and the temperature are those of a twin that was trained alike without the validation photos; these
weights learned from them too."""

_MIRRORED = (
    "Each answer is the mean of those to the picture and to its mirror image, inside the model "
    "file.\n"
)


def row(name: str, figures: TargetFigures) -> tuple[str, ...]:
    """One target's figures as text, in the order of `HEADINGS`."""
    shown = figures.reported
    error = shown.accuracy.expected_calibration_error
    return (
        name,
        f"{figures.megabytes:.2f}",
        f"{figures.val.accuracy.top1:.1%}",
        interval(figures.test) if figures.test else "-",
        f"{shown.coverage:.1%}",
        "-" if shown.selective_accuracy is None else f"{shown.selective_accuracy:.1%}",
        f"{shown.agreement:.1%}",
        "-" if error is None else f"{error:.3f}",
    )


def interval(verification: Verification) -> str:
    """Accuracy with its interval, such as ``93.1% [91.7, 94.3]``."""
    accuracy = verification.accuracy
    return f"{accuracy.top1:.1%} [{accuracy.low * 100:.1f}, {accuracy.high * 100:.1f}]"


def write_card(
    manifest: Manifest, architecture: str, data: str, figures: Mapping[str, TargetFigures]
) -> str:
    """The card as Markdown.

    Args:
        manifest: the bundle's.
        architecture: timm's name of the network.
        data: name of the data set.
        figures: of each target.
    """
    height, width = manifest.preprocess.input_size
    photos = ", ".join(dict.fromkeys(item.reported.accuracy.data for item in figures.values()))
    compression = manifest.provenance["compression"]
    chosen = _BY_TWIN if "twin" in compression else _BY_ITSELF
    in_float = "".join(
        f"Of {name} these layers stayed in float, to keep within the accepted loss: "
        f"{', '.join(layers)}.\n"
        for name, layers in compression["in_float"].items()
    )
    mirrored = _MIRRORED if compression["mirrored"] else ""
    rows = "\n".join(f"| {' | '.join(row(name, item))} |" for name, item in figures.items())
    return f"""# {manifest.id}

A {architecture} network that names {len(manifest.labels)} bird species in a picture of one bird,
{width}x{height} pixels, on small computers and offline.
Made by birdedge on {manifest.created:%Y-%m-%d}.

## Use
`birdedge classify --model FOLDER PHOTO` with the folder that holds this card. The picture should be
filled by the bird; it is brought to the input size by "{manifest.preprocess.resize_mode}".
{mirrored}
## Data and licence
Trained on {data}. {manifest.license}

## Recipe
Training: `{manifest.provenance.get("command") or "not recorded"}`
Compression: `{compression.get("command") or "not recorded"}`
Code: commit {manifest.provenance.get("git_commit") or "not recorded"}.
The whole configuration stands in `manifest.json` under `provenance`.

## Figures
| {" | ".join(HEADINGS)} |
|{"---|" * len(HEADINGS)}
{rows}

Measured through the device's own preprocessing and engines on {photos}.
Val and test are top-1 accuracy, "unknown" or not. Named are the photos whose answer is not
"unknown" (coverage); of those, so many got the right name (selective accuracy). Agreement is with
the float network in PyTorch. ECE is the expected calibration error (15 bins) after dividing the
logits by the temperature {manifest.temperature:g}. {chosen} Test photos chose nothing.
{in_float}
## Limits
- It knows its {len(manifest.labels)} species alone. Of any other bird, and of pictures without a
  bird, it names the most similar species, unless the answer is less probable than
  {manifest.unknown_threshold:g}, more likely wrong than right{_open_set(manifest)}:
  it then says "unknown". That catches some, not all.
- The photos are well lit and show one bird, cut out. Night, rain, motion blur, distance and feeder
  cameras' wide angles lower the accuracy; these figures do not say by how much.
- Where a species lives and when is not considered.
"""


def _open_set(manifest: Manifest) -> str:
    if manifest.open_set is None:
        return ""
    return (
        ",\n  or no logit is above "
        f"{manifest.open_set.threshold:g}, as of {manifest.open_set.rejected:.0%} of "
        f"{manifest.open_set.data}"
    )
