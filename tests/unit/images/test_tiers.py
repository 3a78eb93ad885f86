"""What `render_tiers` makes of good images: colours, sizes, alpha, orientation, first frames, no metadata."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, features

from modelkeep.domain.images import TIERS, high_size, tier_size
from modelkeep.images.tiers import Tiers, render_tiers, stored_size

Encode = Callable[..., bytes]
Halves = Callable[..., Image.Image]

AVIF = pytest.param("AVIF", marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF"))
RED, BLUE, GREY, WHITE = (255, 0, 0), (0, 0, 255), (128, 128, 128), (255, 255, 255)


def opened(tiers: Tiers, quality: str = "high") -> Image.Image:
    image = Image.open(io.BytesIO(tiers.files[quality]))
    assert image.format == "WEBP"
    image.load()
    return image


def colour_at(image: Image.Image, x: float, y: float) -> tuple[int, ...]:
    """Return the colour at a place given as shares of the sides."""
    pixel = image.getpixel((int(image.width * x), int(image.height * y)))
    assert isinstance(pixel, tuple)
    return pixel


def assert_alike(found: tuple[int, ...], expected: tuple[int, ...], tolerance: int = 16) -> None:
    assert len(found) == len(expected), (found, expected)
    assert all(abs(a - b) <= tolerance for a, b in zip(found, expected, strict=True)), (found, expected)


def assert_halves(tiers: Tiers, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    for tier in TIERS:
        image = opened(tiers, tier.quality)
        assert_alike(colour_at(image, 0.2, 0.5), left)
        assert_alike(colour_at(image, 0.8, 0.5), right)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", AVIF])
def test_every_format_that_is_taken_comes_out_in_its_colours(format_: str, encode: Encode, halves: Halves) -> None:
    assert_halves(render_tiers(encode(halves("RGB", RED, BLUE), format_), "a"), RED, BLUE)


@pytest.mark.parametrize(
    ("mode", "format_", "left", "right", "expected_left", "expected_right"),
    [
        ("1", "PNG", 0, 1, (0, 0, 0), WHITE),
        ("L", "PNG", 128, 255, GREY, WHITE),
        ("LA", "PNG", (128, 255), (255, 128), (*GREY, 255), (*WHITE, 128)),
        ("RGB", "PNG", RED, BLUE, RED, BLUE),
        ("RGBA", "PNG", (*RED, 255), (*BLUE, 128), (*RED, 255), (*BLUE, 128)),
        ("CMYK", "JPEG", (0, 255, 255, 0), (255, 255, 0, 0), RED, BLUE),
        ("CMYK", "TIFF", (0, 255, 255, 0), (255, 255, 0, 0), RED, BLUE),
        ("YCbCr", "TIFF", (76, 85, 255), (29, 255, 107), RED, BLUE),
        ("LAB", "TIFF", (138, 209, 198), (255, 128, 128), RED, WHITE),
        ("I;16", "PNG", 128 * 257, 65_535, GREY, WHITE),
        ("I;16", "TIFF", 128 * 257, 65_535, GREY, WHITE),
        ("I;16B", "TIFF", 128 * 257, 65_535, GREY, WHITE),
        ("I", "TIFF", 128, 255, GREY, WHITE),
        ("I", "TIFF", 2**30, 2**31 - 1, GREY, WHITE),
        ("F", "TIFF", 128 / 255, 1.0, GREY, WHITE),
        ("F", "TIFF", 128.0, 255.0, GREY, WHITE),
        ("F", "TIFF", -1.0, 1.0, (0, 0, 0), WHITE),
        ("F", "TIFF", 1e30, 2e30, GREY, WHITE),
    ],
)
def test_every_mode_comes_out_in_its_colours(
    mode: str,
    format_: str,
    left: Any,
    right: Any,
    expected_left: Any,
    expected_right: Any,
    encode: Encode,
    halves: Halves,
) -> None:
    data = encode(halves(mode, left, right), format_)
    assert_halves(render_tiers(data, "a"), expected_left, expected_right)


def test_dark_sixteen_bit_image_is_not_brightened(encode: Encode, halves: Halves) -> None:
    data = encode(halves("I;16", 0, 10 * 257), "PNG")
    assert_halves(render_tiers(data, "a"), (0, 0, 0), (10, 10, 10))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 0.0])
def test_odd_real_numbers_are_taken_somehow(value: float, encode: Encode, halves: Halves) -> None:
    assert opened(render_tiers(encode(halves("F", value, 0.5), "TIFF"), "a")).size == (64, 48)


def test_palette_comes_out_in_its_colours(encode: Encode, halves: Halves) -> None:
    data = encode(halves("RGB", RED, BLUE).quantize(4), "PNG")
    assert Image.open(io.BytesIO(data)).mode == "P"
    assert_halves(render_tiers(data, "a"), RED, BLUE)


@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_palette_with_a_transparent_entry_keeps_it_transparent(format_: str, encode: Encode, halves: Halves) -> None:
    paletted = halves("RGB", RED, BLUE).quantize(4)
    transparent = paletted.getpixel((60, 20))
    data = encode(paletted, format_, transparency=transparent)
    assert Image.open(io.BytesIO(data)).mode == "P"
    image = opened(render_tiers(data, "a"))
    assert_alike(colour_at(image, 0.2, 0.5), (*RED, 255))
    assert colour_at(image, 0.8, 0.5)[3] == 0


def test_palette_with_many_alphas_keeps_them(encode: Encode, halves: Halves) -> None:
    paletted = halves("RGB", RED, BLUE).quantize(2)
    alphas = bytearray(2)
    left, right = paletted.getpixel((2, 2)), paletted.getpixel((60, 2))
    assert isinstance(left, int)
    assert isinstance(right, int)
    alphas[left], alphas[right] = 255, 100
    image = opened(render_tiers(encode(paletted, "PNG", transparency=bytes(alphas)), "a"))
    assert_alike(colour_at(image, 0.2, 0.5), (*RED, 255))
    assert_alike(colour_at(image, 0.8, 0.5), (*BLUE, 100))


@pytest.mark.parametrize(
    ("mode", "left", "right", "transparent"),
    [("L", 128, 255, 255), ("RGB", GREY, WHITE, WHITE), ("I;16", 128 * 257, 65_535, 65_535)],
)
def test_a_single_transparent_colour_becomes_alpha(
    mode: str, left: Any, right: Any, transparent: Any, encode: Encode, halves: Halves
) -> None:
    image = opened(render_tiers(encode(halves(mode, left, right), "PNG", transparency=transparent), "a"))
    assert_alike(colour_at(image, 0.2, 0.5), (*GREY, 255))
    assert colour_at(image, 0.8, 0.5)[3] == 0


def test_transparent_pixels_do_not_bleed_their_colour_when_scaled(encode: Encode) -> None:
    image = Image.new("RGBA", (300, 300), (0, 255, 0, 0))
    for x in range(0, 300, 2):
        image.paste((*RED, 255), (x, 0, x + 1, 300))
    low = opened(render_tiers(encode(image, "PNG"), "a"), "low")
    red, green, _blue, _alpha = colour_at(low, 0.5, 0.5)
    assert red > 200
    assert green < 40


CORNERS = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}
"""Where the stored image's upper left corner lies in the upright one (EXIF 2.3, tag Orientation)."""


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", AVIF])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(format_: str, orientation: int, encode: Encode) -> None:
    stored = Image.new("RGB", (96, 64), WHITE)
    stored.paste(RED, (0, 0, 48, 32))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    tiers = render_tiers(encode(stored, format_, exif=exif), "a")
    assert (tiers.width, tiers.height) == ((96, 64) if orientation < 5 else (64, 96))
    right, bottom = CORNERS[orientation]
    for tier in TIERS:
        image = opened(tiers, tier.quality)
        assert_alike(colour_at(image, 0.2 + 0.6 * right, 0.2 + 0.6 * bottom), RED, 40)
        assert_alike(colour_at(image, 0.8 - 0.6 * right, 0.2 + 0.6 * bottom), WHITE, 40)
        assert_alike(colour_at(image, 0.2 + 0.6 * right, 0.8 - 0.6 * bottom), WHITE, 40)


def test_a_large_turned_image_is_shrunk_and_turned(encode: Encode) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    tiers = render_tiers(encode(Image.new("RGB", (3000, 2000), RED), "JPEG", exif=exif), "a")
    assert (tiers.width, tiers.height) == high_size(2000, 3000)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_a_broken_exif_block_is_no_reason_to_refuse_the_pixels(exif: bytes, encode: Encode, halves: Halves) -> None:
    assert_halves(render_tiers(encode(halves("RGB", RED, BLUE), "JPEG", exif=exif), "a"), RED, BLUE)


def test_an_orientation_that_does_not_exist_is_ignored(encode: Encode, halves: Halves) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 99
    assert_halves(render_tiers(encode(halves("RGB", RED, BLUE), "PNG", exif=exif), "a"), RED, BLUE)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF", AVIF])
def test_the_first_frame_of_several_is_taken(format_: str, encode: Encode, halves: Halves) -> None:
    frames = [halves("RGB", RED, BLUE), Image.new("RGB", (64, 48), (0, 255, 0)), halves("RGB", BLUE, RED)]
    data = encode(frames[0], format_, save_all=True, append_images=frames[1:])
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3
    tiers = render_tiers(data, "a")
    assert_halves(tiers, RED, BLUE)
    assert getattr(opened(tiers), "n_frames", 1) == 1


@pytest.mark.parametrize(
    ("size", "expected_high"),
    [
        ((1, 1), (1, 1)),
        ((3, 5), (3, 5)),
        ((1024, 1536), (1024, 1536)),
        ((2000, 1000), (2000, 1000)),
        ((2001, 1000), (2000, 999)),
        ((3000, 2000), (1732, 1154)),
        ((1, 20_000), (1, 16_383)),
        ((20_000, 1), (16_383, 1)),
        ((20_000, 120), (16_383, 97)),
    ],
)
def test_sizes_are_exactly_those_of_the_formula(
    size: tuple[int, int], expected_high: tuple[int, int], encode: Encode
) -> None:
    tiers = render_tiers(encode(Image.new("L", size), "PNG"), "a")
    assert (tiers.width, tiers.height) == expected_high
    for tier in TIERS:
        assert opened(tiers, tier.quality).size == tier_size(expected_high, tier)


def test_no_shape_exceeds_what_webp_can_hold() -> None:
    for size in [(1, 50_000_000), (50_000_000, 1), (2, 49_999_999), (100, 1_000_000), (65_535, 1500)]:
        width, height = stored_size(*size)
        assert 1 <= width <= 16_383
        assert 1 <= height <= 16_383
    assert stored_size(1, 50_000_000) == (1, 16_383)


def test_the_tiers_get_smaller_in_bytes(photo: Image.Image, encode: Encode) -> None:
    files = render_tiers(encode(photo, "PNG"), "a").files
    assert len(files["high"]) > len(files["medium"]) > len(files["low"])


def riff_chunks(data: bytes) -> set[bytes]:
    chunks, offset = set(), 12
    while offset < len(data):
        length = struct.unpack_from("<I", data, offset + 4)[0]
        chunks.add(data[offset : offset + 4])
        offset += 8 + length + length % 2
    return chunks


def loaded_with_metadata(format_: str, image: Image.Image, encode: Encode) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "secret artist"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, Any] = {"exif": exif, "icc_profile": profile}
    if format_ == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("prompt", '{"secret": "workflow"}')
        text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>secret place</x:xmpmeta>")
        options["pnginfo"] = text
    else:
        options["xmp"] = b"<x:xmpmeta>secret place</x:xmpmeta>"
    return encode(image, format_, **options)


@pytest.mark.parametrize(
    ("format_", "mode"),
    [("JPEG", "RGB"), *((format_, mode) for format_ in ("PNG", "WEBP") for mode in ("RGB", "RGBA"))],
)
def test_metadata_stays_behind(format_: str, mode: str, encode: Encode, halves: Halves) -> None:
    colours = (RED, BLUE) if mode == "RGB" else ((*RED, 200), (*BLUE, 100))
    data = loaded_with_metadata(format_, halves(mode, *colours), encode)
    assert Image.open(io.BytesIO(data)).info.get("icc_profile")
    tiers = render_tiers(data, "a")
    assert_halves(tiers, *colours)
    for content in tiers.files.values():
        assert riff_chunks(content) <= {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"}
        assert b"secret" not in content
        assert not Image.open(io.BytesIO(content)).getexif()


def swapped_profile() -> bytes:
    """Return an RGB profile whose red is sRGB's blue and the other way round, under a name that is not sRGB's."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for position in range(132, 132 + 12 * struct.unpack_from(">I", profile, 128)[0], 12):
        tag = bytes(profile[position : position + 4])
        profile[position : position + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(tag, tag)
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_of_another_profile_become_srgb(mode: str, encode: Encode, halves: Halves) -> None:
    alphas = ((), ()) if mode == "RGB" else ((255,), (128,))
    colours = [(*colour, *alpha) for colour, alpha in zip((RED, BLUE), alphas, strict=True)]
    data = encode(halves(mode, *colours), "PNG", icc_profile=swapped_profile())
    assert_halves(render_tiers(data, "a"), (*BLUE, *alphas[0]), (*RED, *alphas[1]))


def test_an_srgb_profile_leaves_the_colours_alone(encode: Encode, halves: Halves) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = (200, 30, 60), (20, 140, 90)
    with_profile = render_tiers(encode(halves("RGB", *colours), "PNG", icc_profile=profile), "a")
    assert with_profile == render_tiers(encode(halves("RGB", *colours), "PNG"), "a")


@pytest.mark.parametrize(
    ("mode", "left", "right", "expected"),
    [("RGB", RED, BLUE, (RED, BLUE)), ("L", 128, 255, (GREY, WHITE)), ("P", 0, 1, None)],
)
@pytest.mark.parametrize("profile", [b"", b"no profile at all", swapped_profile()[:300]])
def test_a_profile_that_cannot_be_used_is_ignored(
    profile: bytes, mode: str, left: Any, right: Any, expected: Any, encode: Encode, halves: Halves
) -> None:
    tiers = render_tiers(encode(halves(mode, left, right), "PNG", icc_profile=profile), "a")
    if expected:
        assert_halves(tiers, *expected)
    assert tiers.width == 64


def test_a_profile_for_other_colours_than_the_images_is_ignored(encode: Encode, halves: Halves) -> None:
    data = encode(halves("L", 128, 255), "PNG", icc_profile=swapped_profile())
    assert_halves(render_tiers(data, "a"), GREY, WHITE)
