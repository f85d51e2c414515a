"""Every kind of picture file comes out RGB and upright, or is refused with a reason."""

import io
import resource
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from birdedge.runtime.errors import ImageError
from birdedge.runtime.preprocess import Preprocess, read_image


def half_and_half(size: tuple[int, int] = (24, 48)) -> Image.Image:
    """Red above, blue below."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", (0, size[1] // 2, size[0], size[1]))
    return image


def color_at(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    pixel = image.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return pixel


_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", _STORED)
def test_a_photo_taken_sideways_comes_out_upright(tmp_path: Path, orientation: int) -> None:
    turn = _STORED[orientation]
    stored = half_and_half() if turn is None else half_and_half().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.jpg", quality=95, subsampling=0, exif=exif)

    image = read_image(tmp_path / "turned.jpg")

    assert image.size == (24, 48)
    assert color_at(image, 12, 8) == pytest.approx((255, 0, 0), abs=4)
    assert color_at(image, 12, 40) == pytest.approx((0, 0, 255), abs=4)


@pytest.mark.parametrize(
    ("mode", "stored", "shown"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (0, 255), (0, 0, 0)),
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (255, 0, 0, 127), (255, 128, 128)),
    ],
)
def test_grey_and_transparent_pictures_become_rgb_over_white(
    tmp_path: Path, mode: str, stored: int | tuple[int, ...], shown: tuple[int, int, int]
) -> None:
    Image.new(mode, (8, 6), stored).save(tmp_path / "picture.png")

    image = read_image(tmp_path / "picture.png")

    assert image.mode == "RGB"
    assert image.size == (8, 6)
    assert color_at(image, 3, 3) == pytest.approx(shown, abs=1)


def test_the_transparent_colour_of_a_palette_becomes_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, 0, 200, 0])
    image.paste(1, (4, 0, 8, 8))
    image.save(tmp_path / "palette.png", transparency=0)

    decoded = read_image(tmp_path / "palette.png")

    assert color_at(decoded, 1, 1) == (255, 255, 255)
    assert color_at(decoded, 6, 1) == (0, 200, 0)


def test_a_cmyk_jpeg_of_red_is_red(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "print.jpg", quality=95)

    assert color_at(read_image(tmp_path / "print.jpg"), 8, 8) == pytest.approx((255, 0, 0), abs=4)


def test_sixteen_bit_grey_is_scaled_to_eight(tmp_path: Path) -> None:
    values = np.array([[0, 0x01FF, 0x80FF, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")

    pixels = np.asarray(read_image(tmp_path / "deep.png"))

    assert pixels[0].tolist() == [[0] * 3, [1] * 3, [128] * 3, [255] * 3]


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_a_brightness_range_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (8, 8), 3).save(tmp_path / "science.tif")

    with pytest.raises(ImageError, match=rf"science\.tif: pixels of type '{mode}'.*8 or 16 bits"):
        read_image(tmp_path / "science.tif")


def test_of_an_animation_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "green")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])

    assert color_at(read_image(tmp_path / "moving.gif"), 4, 4) == (255, 0, 0)


@pytest.mark.parametrize("kept", [0.005, 0.05, 0.3, 0.5, 0.9, 0.98])
def test_a_truncated_jpeg_is_refused_wherever_it_breaks_off(tmp_path: Path, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    whole = io.BytesIO()
    Image.fromarray(noise).save(whole, "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * kept)])

    with pytest.raises(ImageError, match=r"cut\.jpg: (damaged picture|not a picture)"):
        read_image(path)


def test_a_png_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    half_and_half().save(tmp_path / "flipped.png")
    content = bytearray((tmp_path / "flipped.png").read_bytes())
    content[45] ^= 0xFF
    (tmp_path / "flipped.png").write_bytes(content)

    with pytest.raises(ImageError, match=r"flipped\.png: damaged picture"):
        read_image(tmp_path / "flipped.png")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"Not a bird.\n" * 9, "not a picture that can be read"),
        # Pillow would have Ghostscript run it.
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture that can be read"),
    ],
)
def test_a_file_that_is_no_picture_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "bird.jpg").write_bytes(content)

    with pytest.raises(ImageError) as raised:
        read_image(tmp_path / "bird.jpg")
    assert str(raised.value) == f"{tmp_path / 'bird.jpg'}: {reason}"

    with pytest.raises(ImageError) as raised:
        read_image(content)
    assert str(raised.value) == f"picture: {reason}"


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.jpg: no such file$"):
        read_image(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match=r"(?i): is a directory$"):
        read_image(tmp_path)


def test_a_decompression_bomb_is_refused_at_once_and_without_memory(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(5_001 * 100))
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()

    with pytest.raises(ImageError, match=r"bomb\.png: more than 89 megapixels"):
        read_image(bomb)

    assert time.monotonic() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - kilobytes < 50_000


def test_a_picture_between_warning_and_error_of_pillow_is_refused_too(tmp_path: Path) -> None:
    Image.new("1", (10_000, 10_000)).save(tmp_path / "large.png")

    with pytest.raises(ImageError, match="more than 89 megapixels"):
        read_image(tmp_path / "large.png")


def test_bytes_paths_and_strings_decode_alike(tmp_path: Path) -> None:
    path = tmp_path / "bird.png"
    half_and_half().save(path)

    by_path, by_text = read_image(path), read_image(str(path))
    by_bytes = read_image(path.read_bytes())

    assert by_path.tobytes() == by_text.tobytes() == by_bytes.tobytes()


def test_squash_stretches_the_whole_picture() -> None:
    fitted = Preprocess(input_size=(32, 32)).fit(half_and_half((64, 128)))

    assert fitted.shape == (32, 32, 3)
    assert (fitted[:15] == (255, 0, 0)).all()
    assert (fitted[17:] == (0, 0, 255)).all()


def test_crop_takes_the_centre() -> None:
    thirds = Image.new("RGB", (96, 32), "red")
    thirds.paste((0, 255, 0), (32, 0, 64, 32))
    thirds.paste("blue", (64, 0, 96, 32))

    fitted = Preprocess(input_size=(32, 32), resize_mode="crop").fit(thirds)

    assert (fitted == (0, 255, 0)).all()


def test_crop_fraction_leaves_a_margin_out() -> None:
    framed = Image.new("RGB", (64, 64), "red")
    framed.paste("blue", (16, 16, 48, 48))

    fitted = Preprocess(input_size=(32, 32), resize_mode="crop", crop_fraction=0.5).fit(framed)

    assert (fitted == (0, 0, 255)).all()


def test_letterbox_pads_with_grey() -> None:
    fitted = Preprocess(input_size=(32, 32), resize_mode="letterbox").fit(
        Image.new("RGB", (64, 32), "red")
    )

    assert (fitted[:8] == 128).all()
    assert (fitted[8:24] == (255, 0, 0)).all()
    assert (fitted[24:] == 128).all()


@pytest.mark.parametrize("mode", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 3)])
def test_the_thinnest_picture_fits(mode: str, size: tuple[int, int]) -> None:
    preprocess = Preprocess.model_validate({"input_size": (32, 48), "resize_mode": mode})

    fitted = preprocess.fit(Image.new("RGB", size, "red"))

    assert fitted.shape == (32, 48, 3)
    assert (fitted == (255, 0, 0)).all(axis=-1).any()


def test_input_size_is_height_then_width() -> None:
    assert Preprocess(input_size=(20, 40)).fit(half_and_half()).shape == (20, 40, 3)


def test_bgr_swaps_red_and_blue() -> None:
    fitted = Preprocess(input_size=(8, 8), color_order="BGR").fit(Image.new("RGB", (8, 8), "red"))

    assert (fitted == (0, 0, 255)).all()


def test_normalise_subtracts_the_mean_and_divides_by_the_deviation() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    batch = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)

    scaled = Preprocess(mean=mean, std=std).normalise(batch)

    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, (batch / 255 - mean) / std, atol=1e-5)


@pytest.mark.parametrize("mode", ["squash", "crop", "letterbox"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_arrays_and_pillow_pictures_fit_alike(mode: str, interpolation: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    preprocess = Preprocess.model_validate(
        {"input_size": (32, 32), "resize_mode": mode, "interpolation": interpolation}
    )

    assert (preprocess.fit(noise) == preprocess.fit(Image.fromarray(noise))).all()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("circle.jpg", "Too many levels of symbolic links"),
        ("file/bird.jpg", "Not a directory"),
        ("folder", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("zero", "not a picture that can be read"),  # nor is it empty
    ],
)
def test_what_the_system_says_is_told(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(ImageError, match=f"{name}: {reason}"):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    "settings",
    [
        {"std": (0.5, 0.0, 0.5)},
        {"std": (0.5, -1.0, 0.5)},
        {"mean": (0.5, float("nan"), 0.5)},
        {"input_size": (0, 32)},
        {"input_size": (32, -1)},
        {"crop_fraction": 0.0},
        {"crop_fraction": 1.5},
        {"resize_mode": "fold"},
        {"colour": "RGB"},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Preprocess.model_validate(settings)


@pytest.mark.parametrize("size", [(239, 1201), (1201, 239), (241, 300), (2999, 225)])
def test_rounding_never_carries_a_crop_over_the_edge(size: tuple[int, int]) -> None:
    for crop_fraction in (1.0, 0.875):
        spec = Preprocess(resize_mode="crop", crop_fraction=crop_fraction)
        assert spec.fit(Image.new("RGB", size, "red")).shape == (224, 224, 3)
