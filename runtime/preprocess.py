"""The one definition of decode, resize, crop and normalise.

Training evaluation, calibration, benchmarks and the device all call this file, so that a figure
measured in one of them holds in the others.
"""

import io
import stat
import warnings
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from .errors import ImageError

# Pillow only warns between 89 and 179 megapixels; decoded, that is up to half a gigabyte, which a
# small board does not have. Refusing at the first limit keeps the process alive, and says more.
_MAX_PIXELS = 89_478_485
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Odd metadata in a picture whose pixels can be read is nobody's concern at the terminal.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# All that photos come in; the most frequent first, which spares loading the others' decoders. Left
# to itself, Pillow reads thirty more, and has Ghostscript run whatever a PostScript file says.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "AVIF")

MOST_PIXELS = 4096
"""Of a side of a network's input."""

_Pixels = Annotated[int, Field(ge=1, le=MOST_PIXELS)]
# Far beyond what any network takes, and within what float32 can hold of their quotient.
_Mean = Annotated[float, Field(ge=-1e6, le=1e6)]
_Std = Annotated[float, Field(ge=1e-6, le=1e6)]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


class Preprocess(BaseModel):
    """From a decoded picture of any size to what a network takes.

    Attributes:
        input_size: height and width of the network's input, in pixels.
        resize_mode: ``squash`` stretches the whole picture to the input; ``crop`` scales the
            shorter side to ``input_size / crop_fraction`` and takes the centre; ``letterbox``
            scales the longer side to fit and pads with grey.
        interpolation: resampling filter; all but nearest are antialiased when shrinking.
        crop_fraction: used by ``crop`` alone; timm calls it ``crop_pct``.
        color_order: order of the channels that the network takes.
        mean: per channel, on the scale [0, 1], in ``color_order``.
        std: likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_size: tuple[_Pixels, _Pixels] = (224, 224)
    resize_mode: Literal["squash", "crop", "letterbox"] = "squash"
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    crop_fraction: float = Field(default=1.0, gt=0, le=1)
    color_order: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[_Mean, _Mean, _Mean] = (0.5, 0.5, 0.5)
    std: tuple[_Std, _Std, _Std] = (0.5, 0.5, 0.5)

    def fit(self, picture: Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize and crop a picture to the network's input.

        Args:
            picture: an RGB picture, either Pillow's or uint8 ``[H, W, 3]``.

        Returns:
            uint8 ``[h, w, 3]``, channels in ``color_order``.
        """
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        height, width = self.input_size
        resample = _RESAMPLING[self.interpolation]
        if self.resize_mode == "letterbox":
            image = self._letterbox(image)
        elif image.size != (width, height):
            image = image.resize((width, height), resample, box=self._source_box(image))
        pixels: NDArray[np.uint8] = np.asarray(image)
        return pixels if self.color_order == "RGB" else pixels[..., ::-1]

    def normalise(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scale uint8 ``[N, h, w, 3]`` to float32: ``(batch / 255 - mean) / std``."""
        scale = np.asarray([1 / (255 * s) for s in self.std], dtype=np.float32)
        shift = np.asarray(
            [-m / s for m, s in zip(self.mean, self.std, strict=True)], dtype=np.float32
        )
        scaled: NDArray[np.float32] = batch.astype(np.float32)
        scaled *= scale
        scaled += shift
        return scaled

    def _letterbox(self, image: Image.Image) -> Image.Image:
        height, width = self.input_size
        scale = min(width / image.width, height / image.height)
        # ImageOps.pad would make the thinnest pictures 0 pixels wide.
        fitted = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        if image.size != fitted:
            image = image.resize(fitted, _RESAMPLING[self.interpolation])
        padded = Image.new("RGB", (width, height), (128, 128, 128))
        padded.paste(image, (round((width - fitted[0]) / 2), round((height - fitted[1]) / 2)))
        return padded

    def _source_box(self, image: Image.Image) -> tuple[float, float, float, float]:
        """The part of the picture (left, top, right, bottom; pixels) that fills the input."""
        if self.resize_mode == "squash":
            return (0, 0, image.width, image.height)
        height, width = self.input_size
        scale = min(image.width / width, image.height / height) * self.crop_fraction
        # Rounding must not carry the box over the picture's edge.
        box_width = min(image.width, width * scale)
        box_height = min(image.height, height * scale)
        left, top = (image.width - box_width) / 2, (image.height - box_height) / 2
        right, bottom = min(image.width, left + box_width), min(image.height, top + box_height)
        return (left, top, right, bottom)


def read_image(
    source: Path | str | bytes, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """Decode a picture file, or a part of it, to RGB, upright.

    EXIF orientation is applied; transparency is laid over white; CMYK, grey and palettes become
    RGB; 16-bit grey is scaled to 8 bits; of an animation the first frame is taken.

    Args:
        source: a file, or the bytes of one.
        box: the part to take, as left, top, right, bottom in pixels as they are stored, before they
            are turned upright (a TIFF's are turned as they are decoded). What lies outside is left
            out; at least one pixel is taken.

    Raises:
        ImageError: the file is missing, empty, truncated, not a picture, of a pixel type that has
            no defined range, or larger than Pillow's limit of 89 megapixels.
    """
    name = "picture" if isinstance(source, bytes) else str(source)
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise Image.DecompressionBombError
            image.load()
            part = image if box is None else image.crop(_whole_pixels(box, image.size))
            return _to_rgb(ImageOps.exif_transpose(part), name)
    except Image.DecompressionBombError as error:
        limit = _MAX_PIXELS / 1e6
        raise ImageError(
            f"{name}: more than {limit:.0f} megapixels; scale it down first"
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: {_why_unreadable(source)}") from error
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file") from error
    except ImageError:
        raise
    # Pillow's decoders raise whatever a damaged file makes them stumble over. What the system says,
    # of a folder, a link to itself, a card that cannot be read, has a word of its own.
    except Exception as error:
        reason = getattr(error, "strerror", None) or f"damaged picture ({error})"
        raise ImageError(f"{name}: {reason}") from error


def _whole_pixels(
    box: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The pixels of a picture (width, height) that a box covers, at least one."""
    left, top = (min(max(0, round(box[side])), size[side] - 1) for side in (0, 1))
    right, bottom = (
        min(max(start + 1, round(box[side + 2])), size[side])
        for side, start in enumerate((left, top))
    )
    return left, top, right, bottom


def _why_unreadable(source: Path | str | bytes) -> str:
    if isinstance(source, bytes):
        empty = not source
    else:
        status = Path(source).stat()
        # Devices and pipes have no size.
        empty = stat.S_ISREG(status.st_mode) and status.st_size == 0
    return "empty file" if empty else "not a picture that can be read"


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.uint16) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ImageError(
            f"{name}: pixels of type {image.mode!r} have no defined brightness range; "
            "convert it to 8 or 16 bits first"
        )
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
