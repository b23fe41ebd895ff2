"""Pictures with more than 8 bits: one range for the folder, read off its values, and the same for a new picture."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from recipes.data.dataset import prepare
from recipes.data.images import Framing, ImageError, decode, measure
from recipes.data.sources.folder import scan_folder
from recipes.errors import UserError

SIDE = 8
FRAMING = Framing(SIDE, SIDE, 1)
COLOR = Framing(SIDE, SIDE, 3)
# How a picture of 8 bits is stored so that it means the same: the suffix of its file, its values, and its range.
STORED = {
    "8 bits": (".png", lambda grey: grey, None),
    "8 bits in 16": (".png", lambda grey: grey.astype("uint16"), ("integer", 255)),
    "10 bits": (".tif", lambda grey: np.rint(grey * (1023 / 255)).astype("uint16"), ("integer", 1023)),
    "12 bits": (".png", lambda grey: np.rint(grey * (4095 / 255)).astype("uint16"), ("integer", 4095)),
    "14 bits": (".png", lambda grey: np.rint(grey * (16383 / 255)).astype("uint16"), ("integer", 16383)),
    "16 bits": (".png", lambda grey: grey.astype("uint16") * 257, ("integer", 65535)),
    "32 bits": (".tif", lambda grey: grey.astype("int32") * 257, ("integer", 65535)),
    "floats to 1": (".tif", lambda grey: (grey / 255).astype("float32"), ("float", 1)),
    "floats to 255": (".tif", lambda grey: grey.astype("float32"), ("float", 255)),
    "floats of 12 bits": (".tif", lambda grey: (grey * (4095 / 255)).astype("float32"), ("float", 4095)),
    "floats of 16 bits": (".tif", lambda grey: grey.astype("float32") * 257, ("float", 65535)),
}


def encoded(image, kind):
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def greys(number, low=0, high=256):
    """A picture of 8 bits, with noise that no network learns anything from."""
    grey = np.random.default_rng(number).integers(low, high, (SIDE, SIDE)).astype("uint8")
    grey[0, 0] = high - 1
    return grey


def folder(root, **stored):
    """Write a class for each keyword, stored so; returns what its pictures show, by path."""
    shown = {}
    for k, (label, how) in enumerate(stored.items()):
        suffix, store, _ = STORED[how]
        (root / label).mkdir(parents=True)
        for i in range(6):
            grey = greys(10 * k + i)
            Image.fromarray(store(grey)).save(root / label / f"{i}{suffix}")
            shown[f"{label}/{i}{suffix}"] = grey
    return shown


def prepared(root):
    return prepare(scan_folder(root), FRAMING, 0.2, 0.2, 0)


def png16(values, color_type):
    """A PNG of 16 bits a value, which Pillow does not write."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff16(values, planes, order="<"):
    """A TIFF of three bands of 16 bits, together or, as Pillow misreads them, in planes of their own."""
    height, width, _ = values.shape
    data = (np.moveaxis(values, -1, 0) if planes else values).astype(f"{order}u2").tobytes()
    strips = [8 + i * len(data) // 3 for i in range(3)] if planes else [8]
    tables, at = b"", 8 + len(data)

    def put(*numbers, kind):
        nonlocal tables
        if len(numbers) == 1:
            return struct.pack(f"{order}HH", *numbers, 0) if kind == "H" else struct.pack(f"{order}I", *numbers)
        place = struct.pack(f"{order}I", at + len(tables))
        tables += struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        return place

    tags = [(256, "I", [width]), (257, "I", [height]), (258, "H", [16, 16, 16]), (259, "H", [1]), (262, "H", [2])]
    tags += [(273, "I", strips), (277, "H", [3]), (278, "I", [height]), (279, "I", [len(data) // len(strips)] * len(strips))]
    tags += [(284, "H", [2 if planes else 1])]
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, 3 if kind == "H" else 4, len(numbers)) + put(*numbers, kind=kind)
        for tag, kind, numbers in tags
    )
    mark = b"II" if order == "<" else b"MM"
    start = struct.pack(f"{order}2sHI", mark, 42, at + len(tables))
    return start + data + tables + struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)


@pytest.mark.fault(
    "Pictures",
    "pictures of 10, 12, 14 or 16 bits, or of floats in 0..1 or 0..255",
    "read by one range for the folder, which is said: each pixel is as in the same picture of 8 bits",
    "no file says how many of its bits are used; on a scale of 65535 most of these are black",
)
@pytest.mark.parametrize("how", [how for how in STORED if how != "8 bits"])
def test_the_range_is_read_off_the_folder(tmp_path, how):
    kind, top = STORED[how][2]
    shown = folder(tmp_path / "data", a=how, b=how)
    for _ in range(2):  # the second time from the cache
        data = prepared(tmp_path / "data")
        assert data.framing.ranges == {"integer": None, "float": None} | {kind: top}
        assert (
            sum("more than 8 bits" in one for one in data.findings) == 1
            and f"read as 0 to {top}, here and in predictions" in data.findings[0]
        )
        for path, pixels in zip(data.paths, data.pixels[:], strict=True):
            np.testing.assert_array_equal(pixels[..., 0], shown[path])


@pytest.mark.parametrize("how", [how for how in STORED if how != "8 bits"])
@pytest.mark.fault(
    "Pictures",
    "one class in 8 bits and the other in 16 or in floats",
    "both are read on one scale, and a warning says that the storage may give the classes away",
    "on different scales the depth was the class, with an accuracy of 100 % on the test part",
)
def test_the_depth_is_no_class(tmp_path, how, capsys):
    shown = folder(tmp_path / "data", a="8 bits", b=how)
    data = prepared(tmp_path / "data")
    for path, pixels in zip(data.paths, data.pixels[:], strict=True):
        np.testing.assert_array_equal(pixels[..., 0], shown[path])
    kind = STORED[how][2][0]
    (warning,) = [finding for finding in data.findings if "what recorded them may tell them apart" in finding]
    assert f"a (8 bits), b ({kind})" in warning and f"warning: {warning}" in capsys.readouterr().err


def test_classes_that_mix_depths_alike_are_not_warned_of(tmp_path, capsys):
    for how in ("8 bits", "12 bits"):
        folder(tmp_path / how, a=how, b=how)
    for label in "ab":
        for i in range(6):
            (tmp_path / "12 bits" / label / f"{i}.png").rename(tmp_path / "8 bits" / label / f"{i}0.png")
    data = prepared(tmp_path / "8 bits")
    assert not any("apart" in finding for finding in data.findings) and not capsys.readouterr().err.count("warning")


@pytest.mark.fault(
    "Pictures",
    "one class of 12 bits and the other of 16, both in files of 16",
    "a warning names both classes and their largest values, and each dark picture has a note",
    "one range holds for the folder, so that one class is much darker: whether it is, or was recorded so, nobody can see",
)
def test_classes_of_different_ranges_are_warned_of(tmp_path, capsys):
    folder(tmp_path / "data", a="12 bits", b="16 bits")
    data = prepared(tmp_path / "data")
    assert data.framing.integer_range == 65535
    text = "Values of class a reach 4095, those of b 65535"
    assert text in capsys.readouterr().err and any(text in finding for finding in data.findings)
    assert any("below 1/16 of 0 to 65535: appears nearly black" in finding for finding in data.findings)


def test_integers_and_floats_have_ranges_of_their_own(tmp_path):
    shown = folder(tmp_path / "data", a="floats to 1", b="16 bits")
    data = prepared(tmp_path / "data")
    assert data.framing.ranges == {"integer": 65535, "float": 1}
    for path, pixels in zip(data.paths, data.pixels[:], strict=True):
        np.testing.assert_array_equal(pixels[..., 0], shown[path])


def test_another_range_is_another_entry_of_the_cache(tmp_path):
    """The same dark picture of 12 bits: alone in range 1023, beside a bright one in 4095."""
    root = tmp_path / "data"
    folder(root, a="10 bits", b="10 bits")
    assert prepared(root).pixels[[0]].max() == 255
    Image.fromarray(greys(99).astype("uint16") * 16).save(root / "a" / "bright.png")
    data = prepared(root)
    assert data.framing.integer_range == 4095
    assert data.pixels[[data.paths.index("b/0.tif")]].max() == round(1023 * 255 / 4095)


@pytest.mark.fault(
    "Pictures",
    "a folder whose floats, or 16-bit integers, reach 7",
    "refused, naming a file and its largest value",
    "that is no share and no 8 bits, on whose scales it would be nearly black",
)
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_values_on_no_scale_are_refused(tmp_path, dtype):
    for label in "ab":
        (tmp_path / label).mkdir()
        for i in range(5):
            Image.fromarray(np.full((8, 8), 3 + (i == 4) * 4).astype(dtype)).save(tmp_path / label / f"{i}.tif")
    with pytest.raises(UserError, match=r"10 pictures .* are on no scale: ./4.tif has values up to 7 only, neither 0 to 1 nor"):
        prepared(tmp_path)


@pytest.mark.fault(
    "Pictures",
    "values that are negative, infinite, no number, or beyond 65535",
    "left out by name with the values that were found",
    "no scale of pictures has them",
)
@pytest.mark.parametrize("value", [np.int32(70000), np.int32(-5), np.float32(-0.5), np.float32("nan"), np.float32("inf")])
def test_values_of_no_picture(value):
    data = encoded(Image.fromarray(np.full((8, 8), value)), "TIFF")
    for read in (lambda: measure(data), lambda: decode(data, FRAMING)):
        with pytest.raises(ImageError, match=rf"has values (from|up to) {value:g}.*: convert it to 8 bits"):
            read()


def test_overshoot_of_resampled_floats_is_clipped_with_a_note():
    values = np.full((8, 8), 0.5, "float32")
    values[0, 0] = 1.05
    pixels, notes = decode(encoded(Image.fromarray(values), "TIFF"), Framing(8, 8, 1, float_range=1))
    assert pixels[0, 0, 0] == 255 and pixels[1, 1, 0] == 128 and notes == ["values beyond 0 to 1 are clipped"]


def test_a_new_picture_is_read_as_the_training_pictures_were():
    grey = greys(0)
    dark, bright = (encoded(Image.fromarray(grey.astype("uint16") * factor), "PNG") for factor in (1, 257))
    known = Framing(8, 8, 1, integer_range=4095)
    pixels, notes = decode(dark, known)
    assert pixels.max() == round(255 * 255 / 4095) and notes == ["values below 1/16 of 0 to 4095: appears nearly black"]
    with pytest.raises(ImageError, match="has values up to 65535, beyond 0 to 4095, as training pictures were read"):
        decode(bright, known)
    for data, top in ((dark, 255), (bright, 65535)):  # no training picture had more than 8 bits
        pixels, notes = decode(data, FRAMING)
        np.testing.assert_array_equal(pixels[..., 0], grey)
        assert notes == [f"more than 8 bits: read as 0 to {top}"]


def test_a_model_that_was_saved_before_reads_65535_as_255():
    before = Framing.saved(json.loads('{"size": 8, "resize": 8, "channels": 1, "interpolation": "bilinear"}'))
    assert before.ranges == {"integer": 65535, "float": 65535}
    assert Framing.saved({"size": 8, "resize": 8, "channels": 1, "integer_range": None, "float_range": 1}).ranges == {
        "integer": None,
        "float": 1,
    }
    with pytest.raises(ValueError, match="Framing knows the ranges 1, 255"):
        Framing(8, 8, 1, integer_range=100)


@pytest.mark.parametrize("factor", [1, 4, 16, 257])
@pytest.mark.parametrize("kind", ["PNG RGB", "PNG RGBA", "PNG grey with alpha", "TIFF little-endian", "TIFF big-endian"])
@pytest.mark.fault(
    "Pictures",
    "colours of 16 bits that hold 8, 10, 12 or 16 bits",
    "read as grey pictures are: by the folder's range",
    "Pillow keeps the upper byte alone, so that 12 bits would be 15 levels and nearly black",
)
def test_sixteen_bits_of_colour(kind, factor):
    rng = np.random.default_rng(0)
    shown = rng.integers(0, 256, (8, 8, 3))
    if "grey" in kind:
        shown = shown[..., :1]
    values = shown * factor
    values[0, 0] = 255 * factor
    shown[0, 0] = 255
    if kind.startswith("PNG"):
        opaque = np.full((8, 8, 1), 65535)
        bands = values if kind == "PNG RGB" else np.concatenate([values, opaque], axis=2)
        data = png16(bands, {"PNG RGB": 2, "PNG RGBA": 6, "PNG grey with alpha": 4}[kind])
    else:
        data = tiff16(values, planes=False, order="<" if "little" in kind else ">")
    assert measure(data).high == 255 * factor
    top = {1: 255, 4: 1023, 16: 4095, 257: 65535}[factor]
    pixels, notes = decode(data, COLOR)
    np.testing.assert_array_equal(pixels, np.rint(np.broadcast_to(values, (8, 8, 3)) * (255 / top)))
    assert notes == [f"more than 8 bits: read as 0 to {top}"]


def test_transparency_of_sixteen_bits():
    values = np.full((8, 8, 4), 65535)
    values[..., :3], values[:, 4:, 3] = 0, 0
    pixels, _ = decode(png16(values, 6), COLOR)
    assert (pixels[:, :4] == 0).all() and (pixels[:, 4:] == 255).all()


@pytest.mark.fault(
    "Pictures",
    "a TIFF with 16-bit bands in planes of their own",
    "refused by name",
    "Pillow reads other bytes than the picture's, without a word",
)
def test_sixteen_bits_in_planes():
    values = np.random.default_rng(0).integers(0, 65536, (8, 8, 3))
    with pytest.raises(ImageError, match="separate 16-bit planes, which Pillow misreads: convert it to 8 bits"):
        decode(tiff16(values, planes=True), COLOR)


def test_floats_of_colour_are_refused_by_name():
    stream = io.BytesIO(tiff16(np.zeros((8, 8, 3)), planes=False))
    content = bytearray(stream.getvalue())
    at = content.index(struct.pack("<HHI", 277, 3, 1))  # behind it, a kind of sample that Pillow does not know for colours
    content[at : at + 12] = struct.pack("<HHIHH", 339, 3, 1, 3, 0)
    with pytest.raises(ImageError, match="a TIFF that Pillow cannot read, such as colours in floats: convert it to 8 bits"):
        decode(bytes(content), COLOR)
