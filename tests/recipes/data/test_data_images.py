"""The decoder: every fault that a file can bring, hand-computed numbers, and Pillow's direct way."""

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from recipes.data.images import Framing, ImageError, center, decode, read, read_bytes

SHARED = Path(os.environ.get("ZOO_SHARED", Path(__file__).parents[3] / ".." / "shared"))
RGB, GRAY = Framing(8, 8, 3), Framing(8, 8, 1)


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(width=60, height=40, seed=0):
    """Coarse coloured noise: no symmetry, so that a wrong turn or cut cannot go unseen."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3))
    return Image.fromarray(np.kron(small, np.ones((4, 4, 1))).astype(np.uint8)[:height, :width])


def flat(mode, color, size=(8, 8)):
    return Image.new(mode, size, color)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side):
    """A PNG of side x side 1-bit zeros, made row by row: some tens of kilobytes."""
    squeeze = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    body = b"".join([squeeze.compress(row) for _ in range(side)]) + squeeze.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def reason(data):
    with pytest.raises(ImageError) as caught:
        decode(data, RGB)
    return str(caught.value)


def the_color(data, framing=RGB):
    """The one colour of a picture that has only one."""
    pixels, _ = decode(data, framing)
    assert pixels.dtype == np.uint8 and pixels.shape == (framing.resize, framing.resize, framing.channels)
    assert (pixels == pixels[0, 0]).all()
    return pixels[0, 0].tolist()


def direct(image, framing):
    """Resize the whole picture, cut its centre: the definition."""
    scale = framing.resize / min(image.size)
    width, height = (max(framing.resize, round(side * scale)) for side in image.size)
    resized = np.asarray(image.resize((width, height), Image.Resampling[framing.interpolation.upper()]))
    left, top = (width - framing.size) // 2, (height - framing.size) // 2
    return resized[top : top + framing.size, left : left + framing.size]


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (61, 40), (41, 40), (40, 40), (333, 40), (7, 9)])
@pytest.mark.parametrize("framing", [Framing(24, 32, 3), Framing(25, 32, 3), Framing(24, 33, 3, "bicubic")])
def test_centre_of_the_square_is_the_centre_of_the_whole_picture(size, framing):
    image = picture(*size)
    pixels, notes = decode(encoded(image, "PNG"), framing)
    assert np.array_equal(center(pixels, framing), direct(image, framing)) and not notes


def test_real_photographs_are_cut_exactly():
    photographs = sorted((SHARED / "data" / "imagenet-samples").glob("*.jpg"))[::100]
    if not photographs:
        pytest.skip(f"no photographs in {SHARED}/data/imagenet-samples")
    for framing in (Framing(224, 256, 3), Framing(192, 219, 3)):
        for path in photographs:
            with Image.open(path) as image:
                expected = direct(image.convert("RGB"), framing)
            assert np.array_equal(center(read(path, framing)[0], framing), expected), path


def test_hand_computed_resize():
    """At half the size columns weigh 1/8, 3/8, 3/8, 1/8; at the border, where one lacks, 3/7, 3/7, 1/7."""
    columns = np.tile(np.array([0, 0, 200, 200, 200, 200, 200, 200], np.uint8), (8, 1))
    pixels, _ = decode(encoded(Image.fromarray(columns), "PNG"), Framing(4, 4, 1))
    assert pixels[0, :, 0].tolist() == [round(200 / 7), round(200 * 7 / 8), 200, 200]


def test_centre_takes_batches_and_refuses_other_shapes():
    framing = Framing(2, 5, 1)
    batch = np.arange(2 * 25).reshape(2, 5, 5, 1)
    assert center(batch, framing)[1, :, :, 0].tolist() == [[31, 32], [36, 37]]
    with pytest.raises(ValueError, match=r"\(5, 5, 1\).*\(2, 4, 5, 1\)"):
        center(batch[:, :4], framing)


@pytest.mark.parametrize("arguments", [(0, 8, 3), (9, 8, 3), (8, 8, 4), (8, 8, 3, "blurry")])
def test_impossible_framing_is_refused(arguments):
    with pytest.raises(ValueError, match="Framing"):
        Framing(*arguments)


ORANGE, WHITE, HALF_RED = [200, 100, 50], [255, 255, 255], [255, 127, 127]  # 128/255 of red on white
PALETTE = flat("P", 1)
PALETTE.putpalette([0, 0, 0, 255, 0, 0])
LOSSES = {
    "BMP": 0,
    "PPM": 0,
    "PCX": 0,
    "SGI": 0,
    "QOI": 0,
    "TGA": 0,
    "AVIF": 4,
    "JPEG2000": 1,
    "GIF": 4,
    "ICO": 0,
}
COLORS = [  # picture, format, how it is written, colour, tolerance
    (flat("RGB", (255, 0, 0)), "PNG", {}, [255, 0, 0], 0),
    (flat("L", 90), "PNG", {}, [90, 90, 90], 0),
    (flat("1", 1), "PNG", {}, WHITE, 0),
    (flat("RGBA", (255, 0, 0, 0)), "PNG", {}, WHITE, 0),  # junk under transparency is not seen
    (flat("RGBA", (255, 0, 0, 128)), "PNG", {}, HALF_RED, 0),
    (flat("LA", (0, 0)), "PNG", {}, WHITE, 0),
    (flat("RGB", (255, 0, 0)), "PNG", {"transparency": (255, 0, 0)}, WHITE, 0),
    (flat("L", 7), "PNG", {"transparency": 7}, WHITE, 0),
    (flat("L", 7), "PNG", {"transparency": 8}, [7, 7, 7], 0),
    (flat("I;16", 7), "PNG", {"transparency": 7}, WHITE, 0),
    (PALETTE, "PNG", {}, [255, 0, 0], 0),
    (PALETTE, "PNG", {"transparency": b"\xff\x80"}, HALF_RED, 0),
    (PALETTE, "GIF", {"transparency": 1}, WHITE, 0),
    (flat("CMYK", (0, 0, 0, 255)), "JPEG", {}, [0, 0, 0], 0),  # Pillow writes CMYK as Adobe does, inverted
    (flat("CMYK", (255, 0, 0, 0)), "JPEG", {}, [0, 255, 255], 0),
    (flat("CMYK", (255, 0, 0, 0)), "TIFF", {}, [0, 255, 255], 0),
    (flat("RGB", (200, 100, 50)).convert("YCbCr"), "TIFF", {}, ORANGE, 2),
    (flat("LAB", (138, 209, 198)), "TIFF", {}, [255, 0, 0], 5),  # L 54.3 of 100; a 80.8 + 128; b 69.9 + 128
    (flat("I", 25700), "TIFF", {}, [100, 100, 100], 0),
    (flat("F", 25700), "TIFF", {}, [100, 100, 100], 0),
    *((flat("RGB", (200, 100, 50), (32, 32)), kind, {}, ORANGE, loss) for kind, loss in LOSSES.items()),
]


@pytest.mark.parametrize(("image", "kind", "options", "expected", "tolerance"), COLORS)
def test_every_kind_of_colour(image, kind, options, expected, tolerance):
    data = encoded(image, kind, **options)
    assert np.allclose(the_color(data), expected, atol=tolerance)
    gray = np.dot(expected, [0.299, 0.587, 0.114])
    assert np.allclose(the_color(data, GRAY), gray, atol=tolerance + 0.5)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(kind):
    image = picture(48, 32)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    turned, _ = decode(encoded(image, kind, exif=exif), Framing(32, 32, 3))
    stored, _ = decode(encoded(image, kind), Framing(32, 32, 3))
    assert np.array_equal(turned, np.rot90(stored, -1)) and not np.array_equal(turned, stored)


def test_damaged_exif_is_noted_and_the_picture_used():
    data = encoded(flat("RGB", (9, 9, 9)), "PNG")
    damaged = data[:33] + chunk(b"eXIf", b"no TIFF header") + data[33:]
    assert decode(damaged, RGB)[1] == ["EXIF data are damaged: orientation not applied"]


@pytest.mark.parametrize("name", ["p.png", "P.JPG", "no_extension", "a*[?] b\n.jpg", os.fsdecode(b"caf\xe9")])
def test_neither_the_name_nor_bytes_behind_the_picture_matter(tmp_path, name):
    (tmp_path / name).write_bytes(encoded(flat("RGB", (1, 2, 3)), "PNG") + b"garbage" * 9)
    assert read(tmp_path / name, RGB)[0][0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", ["BMP", "PNG", "GIF"])
@pytest.mark.parametrize("image", [picture(40, 40).quantize(16), picture(40, 40).convert("1")])
def test_palettes_are_expanded(image, kind):
    pixels, _ = decode(encoded(image, kind), Framing(40, 40, 3))
    assert np.array_equal(pixels, np.asarray(image.convert("RGB")))


def test_sixteen_bits_are_scaled():
    """65535 is 255; 257 x n is n; 128 is still 0 and 129 is 1."""
    values = np.tile(np.array([0, 128, 129, 257, 25700, 65000, 65407, 65535], np.uint16), (8, 1))
    for kind in ("PNG", "TIFF"):
        pixels, notes = decode(encoded(Image.fromarray(values), kind), Framing(8, 8, 1, integer_range=65535))
        assert pixels[0, :, 0].tolist() == [0, 0, 1, 1, 100, 253, 255, 255] and not notes


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation_with_a_note(kind):
    frames = [flat("RGB", (60 * i, 0, 0)) for i in range(4)]
    pixels, notes = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:]), RGB)
    kind_of_file = "several pages" if kind == "TIFF" else "animated"
    assert pixels.max() == 0 and notes == [f"{kind_of_file}: only the first of 4 frames is used"]


def test_a_cameras_preview_is_no_animation():
    data = encoded(flat("RGB", (9, 9, 9)), "MPO", save_all=True, append_images=[flat("RGB", (0, 0, 0))])
    assert decode(data, RGB)[1] == []


@pytest.mark.fault(
    "Pictures",
    "pictures in 0..1 that were saved as 8 bits without scaling, so that all values are 0 or 1",
    "used, with a note that says what is expected; a black picture has none",
    "they look black, and a network is trained on nothing",
)
@pytest.mark.parametrize("color, noted", [((0, 1, 1), True), ((0, 0, 0), False), ((0, 2, 1), False), ((255, 255, 255), False)])
def test_pictures_of_zeros_and_ones_are_noted(color, noted):
    notes = decode(encoded(flat("RGB", color), "PNG"), RGB)[1]
    nearly = "is nearly black, with no value above 1: pixels are expected in 0..255, not as floats in 0..1 are saved"
    assert notes == [nearly] * noted


def test_tiny_and_long_pictures_are_noted():
    pixels, notes = decode(encoded(flat("RGB", (5, 6, 7), (1, 1)), "PNG"), Framing(224, 256, 3))
    assert (pixels == [5, 6, 7]).all() and notes == ["short side of only 1 px: enlarged to 256"]
    for size in ((10000, 1), (1, 10000)):
        pixels, notes = decode(encoded(flat("RGB", (5, 6, 7), size), "PNG"), Framing(224, 256, 3))
        assert (pixels == [5, 6, 7]).all() and pixels.shape == (256, 256, 3)
        assert notes[0] == "aspect ratio 10000:1: only the middle is used"


def test_the_middle_of_a_long_picture_is_used():
    line = np.zeros((1, 10001), np.uint8)
    line[0, 5000] = 255
    for image in (Image.fromarray(line), Image.fromarray(line.T)):
        assert decode(encoded(image, "PNG"), Framing(2, 4, 1, "nearest"))[0].min() == 255


@pytest.mark.parametrize("side", [22_000, 10_000, 7_100])
@pytest.mark.parametrize("warned", ["error", "ignore"])
def test_bombs_are_refused_from_the_header(monkeypatch, side, warned):
    """Above 89 million pixels Pillow warns, above 179 million it raises."""
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("the picture was decoded"))
    with warnings.catch_warnings():
        warnings.simplefilter(warned)
        assert reason(bomb(side)) == f"has {side**2:,} pixels, more than the limit of 50,000,000"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF"])
def test_truncated_files_are_refused(kind):
    data = encoded(picture(), kind)
    for kept in (0.1, 0.5, 0.9):
        assert "truncated" in reason(data[: int(len(data) * kept)])


def test_small_damage_is_refused():
    for progressive in (False, True):
        assert reason(encoded(picture(), "JPEG", progressive=progressive)[:-2]) == "is truncated"
    png = bytearray(encoded(picture(), "PNG"))
    png[len(png) // 2] ^= 255
    assert reason(bytes(png)).startswith("is damaged")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (bytes(500), "nothing but zero bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git-LFS pointer.*git lfs pull"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html><body>404</body></html>", "is an HTML page"),
        ("é".encode() * 3000, "is a text file"),
        (b"<?xml version='1.0'?><svg xmlns='x'></svg>", "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(range(256)), "is a HEIC picture.*convert it to JPEG"),
        (b"\0\0\0\x18ftypisom\0\0\0\0" + bytes(range(256)), "is a video"),
        (b"\xff\x0a\xfa" + bytes(range(256)), "JPEG XL"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X        " + bytes(range(99)), "AppleDouble"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "PostScript"),
        (bytes(range(128, 256)) * 9, "is not an image that Pillow can read"),
        (b"\xff\xd8\xff", "is damaged or truncated"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(data, expected):
    with pytest.raises(ImageError, match=expected):
        decode(data, RGB)


@pytest.mark.filterwarnings("ignore")  # as in a pool of threads: the oddest metadata make Pillow warn
def test_only_image_errors_come_out_of_damaged_files():
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000"):
        data = np.frombuffer(encoded(picture(), kind), np.uint8)
        for _ in range(25):
            damaged = data.copy()
            damaged[rng.integers(0, min(len(data), 400), 4)] = rng.integers(0, 256, 4)
            try:
                decode(damaged.tobytes(), RGB)
            except ImageError:
                pass


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.symlink("nowhere", tmp_path / "dangling.jpg")
    for name, expected in {"pipe.jpg": "regular", ".": "regular", "dangling.jpg": "No such file"}.items():
        with pytest.raises(ImageError, match=expected):
            read_bytes(tmp_path / name)


@pytest.mark.fault(
    "Pictures",
    "a TIFF whose compressed pixels are damaged",
    "it is refused in a sentence, and nothing else is said",
    "libtiff writes lines of its own on the standard error, in the middle of what a server or a command says",
)
def test_libtiff_writes_nothing_of_its_own(capfd):
    for compression in ("tiff_adobe_deflate", "tiff_lzw", "group4"):
        image = picture().convert("1" if compression == "group4" else "RGB")
        data = bytearray(encoded(image, "TIFF", compression=compression))
        middle = len(data) // 3
        data[middle : middle + 20] = bytes(range(90, 110))
        if compression != "group4":  # of whose damage Pillow makes something
            assert "damaged" in reason(bytes(data))
        else:
            decode(bytes(data), RGB)
    assert capfd.readouterr() == ("", "")
