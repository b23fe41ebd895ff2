"""Colours by an ICC profile, against colours computed by hand from the primaries and curves that define the spaces."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from recipes.data import profiles
from recipes.data.images import Framing, decode

RGB, GRAY = Framing(8, 8, 3), Framing(8, 8, 1)
D50 = np.array([0.9642, 1.0, 0.8249])
# x and y of red, green, blue; all three spaces have the white of D65.
PRIMARIES = {
    "sRGB": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "Adobe RGB": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "Display P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
WHITE = (0.3127, 0.3290)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
COLORS = [(255, 255, 255), (0, 0, 0), (200, 100, 50), (100, 150, 120), (128, 128, 128), (60, 90, 160), (180, 60, 60)]


def xyz(x, y):
    return np.array([x / y, 1, (1 - x - y) / y])


def to_xyz(space):
    """The matrix from linear values of a space to XYZ, under its own white."""
    primaries = np.array([xyz(*point) for point in PRIMARIES[space]]).T
    return primaries * np.linalg.solve(primaries, xyz(*WHITE))


def linear(values, space):
    if space == "Adobe RGB":
        return values ** (563 / 256)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def in_srgb(color, space):
    """A colour of a space, 0..255, in sRGB: what is beyond is cut."""
    light = np.linalg.solve(to_xyz("sRGB"), to_xyz(space) @ linear(np.array(color) / 255, space)).clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def profile(device, space, pcs, tags):
    """Write an ICC profile of version 2."""
    tags = {b"desc": text("a profile"), b"cprt": b"text\0\0\0\0none\0", b"wtpt": point(D50)} | tags
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, device, space, pcs) + struct.pack(">6H", 2020, 1, 1, 0, 0, 0)
    head += b"acsp" + b"\0" * 28 + struct.pack(">3i", *(round(65536 * value) for value in D50))
    return head + b"\0" * (128 - len(head)) + table + body


def text(words):
    return b"desc\0\0\0\0" + struct.pack(">I", len(words) + 1) + words.encode() + b"\0" + b"\0" * 78


def point(values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * value) for value in values))


def curve(values):
    return b"curv\0\0\0\0" + struct.pack(f">I{len(values)}H", len(values), *values)


def rgb_profile(space):
    """The profile of an RGB space: its matrix, adapted to D50 as profiles are, and its curve."""
    source, target = BRADFORD @ xyz(*WHITE), BRADFORD @ D50
    adapted = np.linalg.solve(BRADFORD, np.diag(target / source) @ BRADFORD @ to_xyz(space))
    steps = np.rint(65535 * linear(np.linspace(0, 1, 4096), space)).astype(int)
    tags = {f"{name}XYZ".encode(): point(adapted[:, i]) for i, name in enumerate("rgb")}
    return profile(b"mntr", b"RGB ", b"XYZ ", tags | {f"{name}TRC".encode(): curve(steps) for name in "rgb"})


def gray_profile(gamma):
    return profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve([round(256 * gamma)])})


def cmyk_profile():
    """A press whose four inks mix linearly: the Lab colour of each corner stands in a table of 2 x 2 x 2 x 2."""
    corners = [lab(*((i >> shift) & 1 for shift in (3, 2, 1, 0))) for i in range(16)]
    straight = bytes(range(256))
    data = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    data += straight * 4 + b"".join(bytes(corner) for corner in corners) + straight * 3
    return profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": data})


def lab(c, m, y, k):
    """The Lab colour, as bytes, of full inks: greenish cyan, violet magenta and black are unlike Pillow's own."""
    if k:
        return 0, 128, 128
    return 255 - 60 * c - 70 * m - 20 * y, 128 - 40 * c + 50 * m, 128 - 30 * c - 20 * m + 60 * y


def lab_in_srgb(lightness, a, b):
    fy = (lightness / 255 * 100 + 16) / 116
    f = np.array([fy + (a - 128) / 500, fy, fy - (b - 128) / 200])
    light = D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    source, target = BRADFORD @ D50, BRADFORD @ xyz(*WHITE)
    light = np.linalg.solve(BRADFORD, target / source * (BRADFORD @ light))
    light = np.linalg.solve(to_xyz("sRGB"), light).clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def decoded(image, kind, icc, framing=RGB, **options):
    stream = io.BytesIO()
    image.save(stream, kind, icc_profile=icc, **options)
    pixels, notes = decode(stream.getvalue(), framing)
    assert (pixels == pixels[0, 0]).all()
    return pixels[0, 0].tolist(), notes


@pytest.mark.fault(
    "Pictures",
    "a colour profile that is not sRGB: Adobe RGB, Display P3",
    "converted to sRGB: the colours are those computed by hand from the definition of the space",
    "the same numbers are other colours in other spaces, and networks were trained on sRGB",
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("space", ["Adobe RGB", "Display P3"])
def test_colours_are_converted(space, kind):
    moved = 0
    for color in COLORS:
        options = {"lossless": True} if kind == "WEBP" else {}
        found, notes = decoded(Image.new("RGB", (8, 8), color), kind, rgb_profile(space), **options)
        assert np.allclose(found, in_srgb(color, space), atol=1) and not notes
        moved = max(moved, np.abs(np.subtract(found, color)).max())
    assert moved > 15


def test_profiles_of_transparent_and_indexed_pictures():
    expected = in_srgb((200, 100, 50), "Adobe RGB")
    clear = Image.new("RGBA", (8, 8), (200, 100, 50, 128))
    found, _ = decoded(clear, "PNG", rgb_profile("Adobe RGB"))
    assert np.allclose(found, expected * (128 / 255) + 127, atol=1.5)
    indexed = Image.new("P", (8, 8), 1)
    indexed.putpalette([0, 0, 0, 200, 100, 50])
    assert np.allclose(decoded(indexed, "PNG", rgb_profile("Adobe RGB"))[0], expected, atol=1)


def test_srgb_by_any_name_leaves_the_pixels_alone():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype("uint8"))
    for icc in (rgb_profile("sRGB"), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()):
        stream = io.BytesIO()
        image.save(stream, "PNG", icc_profile=icc)
        pixels, notes = decode(stream.getvalue(), RGB)
        assert np.array_equal(pixels, np.asarray(image)) and not notes
    assert decoded(Image.new("L", (8, 8), 77), "PNG", rgb_profile("sRGB"))[0] == [77, 77, 77]


def test_grey_profiles():
    """Gamma 1.0: 50 of 255 is a share of the light of 0.196, which sRGB writes as 122.7."""
    for value in (0, 50, 128, 255):
        share = value / 255
        expected = 255 * (12.92 * share if share <= 0.0031308 else 1.055 * share ** (1 / 2.4) - 0.055)
        for framing in (RGB, GRAY):
            found, notes = decoded(Image.new("L", (8, 8), value), "PNG", gray_profile(1.0), framing)
            assert np.allclose(found, expected, atol=1) and len(set(found)) == 1 and not notes


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_profiles(kind):
    for inks in ((0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 0, 255), (255, 0, 255, 0)):
        expected = lab_in_srgb(*lab(*(ink // 255 for ink in inks)))
        found, notes = decoded(Image.new("CMYK", (8, 8), inks), kind, cmyk_profile())
        assert np.allclose(found, expected, atol=3) and not notes, inks
    unconverted, _ = decoded(Image.new("CMYK", (8, 8), (0, 255, 0, 0)), kind, None)
    assert not np.allclose(unconverted, lab_in_srgb(*lab(0, 1, 0, 0)), atol=20)


@pytest.mark.fault(
    "Pictures",
    "a damaged colour profile, or one for another kind of picture",
    "the colours are taken as sRGB, with a note",
    "the pixels are whole",
)
@pytest.mark.parametrize(
    ("icc", "note"),
    [
        (b"no profile", "its colour profile is damaged: taken as sRGB"),
        (rgb_profile("Adobe RGB")[:200], "its colour profile is damaged: taken as sRGB"),
        (cmyk_profile(), "its colour profile is not for pictures of mode RGB: taken as sRGB"),
        (gray_profile(2.2), "its colour profile is not for pictures of mode RGB: taken as sRGB"),
    ],
)
def test_profiles_that_cannot_be_used(icc, note):
    assert decoded(Image.new("RGB", (8, 8), (200, 100, 50)), "PNG", icc) == ([200, 100, 50], [note])


def test_a_pillow_without_littlecms_says_so(monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: name != "littlecms2")
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    unchanged, notes = profiles.to_srgb(image, rgb_profile("Adobe RGB"))
    assert unchanged is image and notes == ["its colour profile needs a Pillow built with LittleCMS: taken as sRGB"]
