"""The page of `zoo export --to html` in Chromium, around a network made by hand: what it reads, how it frames, what it says."""

import base64
import io
import itertools
import json
import os
import struct
import zlib
from pathlib import Path

import browser
import numpy as np
import pytest
from pages_exported import CLASSES, asked, colors_network, dropped, ready, registry, write_page
from PIL import Image, ImageOps, features

from recipes.data.images import Framing, center, decode
from recipes.errors import ImageError
from recipes.formats import resizing
from recipes.report.overlays import described, overlay

onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow
FRAMING = Framing(64, 73, 3, "bicubic", integer_range=255)
THRESHOLD, LIMIT = 2.5, 0.7
# Width and height: larger and smaller than what they become, odd, square, as they are, longer than 10:1, tall.
SIZES = [(400, 275), (233, 387), (31, 45), (73, 73), (1301, 99), (50, 777), (7, 90), (301, 300), (73, 900), (1, 5)]


def photograph(width=120, height=90, seed=0):
    """A picture with edges and noise, for smooth ones are read alike by everybody."""
    generator = np.random.default_rng(seed)
    rough = Image.fromarray(generator.integers(0, 256, (9, 7, 3), dtype=np.uint8)).resize((width, height), Image.NEAREST)
    noise = generator.integers(-60, 61, (height, width, 3))
    return Image.fromarray((np.array(rough).astype(int) + noise).clip(0, 255).astype(np.uint8))


def enlarged(values, size):
    return np.asarray(Image.fromarray(values).resize((size, size), Image.BILINEAR))


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def with_chunk(png, name, content):
    """A PNG with one chunk more before its pixels."""
    at = png.index(b"IDAT") - 4
    return (
        png[:at] + struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)) + png[at:]
    )


def readable():
    """Files of all kinds that browsers read, by what is special about them."""
    image, clear = photograph(), photograph().convert("RGBA")
    clear.putalpha(Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 120), dtype=np.uint8)))
    found = {
        "JPEG": saved(image, "JPEG"),
        "all colours": saved(image, "JPEG", quality=95, subsampling=0),
        "halved across": saved(image.crop((0, 0, 101, 77)), "JPEG", subsampling=1),
        "progressive": saved(image, "JPEG", progressive=True),
        "grey JPEG": saved(image.convert("L"), "JPEG"),
        "CMYK": saved(image.convert("CMYK"), "JPEG"),
        **{f"turned {i}": saved(image, "JPEG", exif=turned(i)) for i in (3, 5, 6, 8)},
        "PNG": saved(image, "PNG"),
        "transparent": saved(clear, "PNG"),
        "palette": saved(image.quantize(50), "PNG"),
        "one bit": saved(image.convert("1"), "PNG"),
        "PNG with a gamma": with_chunk(saved(image, "PNG"), b"gAMA", struct.pack(">I", 100000)),
        "GIF": saved(image, "GIF"),
        "BMP": saved(image, "BMP"),
        **{f"{width} x {height}": saved(photograph(width, height), "PNG") for width, height in SIZES},
    }
    if features.check("webp"):
        found |= {"WebP": saved(image, "WEBP"), "transparent WebP": saved(clear, "WEBP", lossless=True)}
    return found


@pytest.fixture(scope="module")
def chromium():
    if (path := browser.program()) is None:
        pytest.skip("no Chromium here: install Debian's chromium, or set ZOO_TEST_CHROMIUM")
    with browser.started(path) as running:
        yield running


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_registry", registry())
        return write_page(tmp_path_factory.mktemp("page") / "page", colors_network(FRAMING, 4), FRAMING, THRESHOLD, LIMIT)


@pytest.fixture(scope="module")
def by_runtime():
    """Answers of the same network by ONNX Runtime of Python, to what `zoo predict` would see of a file."""
    session = onnxruntime.InferenceSession(colors_network(FRAMING, 4).SerializeToString())

    def answer(content):
        pixels = center(decode(content, FRAMING)[0], FRAMING)
        return pixels, *(values[0] for values in session.run(None, {"image": pixels[None].astype("float32")}))

    return answer


@pytest.mark.parametrize("precision, has_sets", [("float32", True), ("float16", True), ("int8", False)])
def test_sets_are_offered_where_the_probabilities_are_those_they_were_learnt_from(precision, has_sets, tmp_path, monkeypatch):
    monkeypatch.setenv("npm_config_registry", registry())
    page = write_page(tmp_path / "page", colors_network(FRAMING, 4), FRAMING, THRESHOLD, LIMIT, precision)
    assert ('"sets": null' not in page.read_text("utf-8")) == has_sets


def test_files_of_all_kinds_and_sizes_are_seen_and_answered_as_by_zoo_predict(chromium, page, by_runtime):
    files = readable()
    tab = ready(chromium, page)
    for name, found in zip(files, asked(tab, files.values()), strict=True):
        pixels, probabilities, maps, score = by_runtime(files[name])
        np.testing.assert_array_equal(np.reshape(found["pixels"], pixels.shape), pixels, name)
        np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-6, err_msg=name)
        assert found["score"] == pytest.approx(score, abs=1e-5), name
        heat = np.reshape(found["heat"], pixels.shape[:2])
        np.testing.assert_allclose(heat, enlarged(maps[..., probabilities.argmax()], FRAMING.size), atol=1e-4, err_msg=name)
    assert tab.complaints == []
    tab.close()


def test_framing_is_pillows_to_the_bit(chromium):
    source = Path(resizing.__file__).with_name("framing.js").read_text("utf-8")
    limits = {"max_aspect": 10, "max_enlargement": 8, "columns_may_come_first": resizing.COLUMNS_MAY_COME_FIRST}
    pictures, cases = [photograph(*size) for size in SIZES], []
    for interpolation, channels in itertools.product(resizing.INTERPOLATIONS, (3, 1)):
        framing = Framing(48, 55, channels, interpolation)
        cases += [(picture.convert("RGB" if channels == 3 else "L"), framing) for picture in pictures]
    given = [
        [base64.b64encode(picture.tobytes()).decode(), framing.channels, *picture.size, vars(framing) | limits]
        for picture, framing in cases
    ]
    tab = chromium.open("about:blank")
    read = "([pixels, ...more]) => framed(Uint8Array.from(atob(pixels), (one) => one.charCodeAt(0)), ...more)"
    found = tab.evaluate(
        f"{{ {source}; const found = {json.dumps(given)}.map({read}); found.map((one) => [[...one.pixels], one.notes]) }}"
    )
    for (picture, framing), (pixels, notes) in zip(cases, found, strict=True):
        expected, said = decode(saved(picture, "PNG"), framing)
        np.testing.assert_array_equal(np.reshape(pixels, (48, 48, framing.channels)), center(expected, framing), f"{framing}")
        assert notes == said
    tab.close()


@pytest.mark.fault(
    "Export",
    "a file that the page cannot read as the run does",
    "a sentence beside its name; the others are answered",
    "browsers turn, scale and refuse pictures in other ways than the run's decoder",
)
def test_what_cannot_be_read_alike_is_refused_in_a_sentence(chromium, page):
    deep = Image.fromarray(np.random.default_rng(0).integers(0, 65536, (40, 50), dtype=np.uint16))
    too_large = saved(Image.new("1", (10_000, 5_001)), "PNG")
    wrong = {
        b"hello": "no picture that this browser reads",
        b"": "is empty",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>": "no picture",
        saved(photograph(), "JPEG")[:-700]: "is damaged",
        too_large: "has 50,010,000 pixels, more than the limit of 50,000,000",
        saved(photograph(), "TIFF"): "is a TIFF file",
        saved(deep, "PNG"): "16 bits",
        saved(photograph(), "WEBP", exif=turned(6)): "to be turned",
    }
    for content in list(wrong)[:5]:  # `zoo predict` refuses these, too
        with pytest.raises(ImageError):
            decode(content, FRAMING)
    tab = ready(chromium, page)
    found = asked(tab, [*wrong, saved(photograph(), "PNG"), saved(photograph(), "WEBP", exif=turned(1))])
    assert all(words in one["error"] for one, words in zip(found, wrong.values(), strict=False)), found
    assert all("error" not in one for one in found[-2:])
    assert tab.complaints == []
    tab.close()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["light", "dark on a telephone"])
def test_the_page_says_what_the_network_does(chromium, page, by_runtime, tmp_path, width, dark):
    paths = []
    for i, image in enumerate((photograph(), photograph(400, 30, seed=3), ImageOps.invert(photograph(seed=5)))):
        paths.append(tmp_path / f"{i}.jpg")
        image.save(paths[-1])
    paths.append(tmp_path / "no <b>picture.txt")
    paths[-1].write_text("none")
    tab = ready(chromium, page, width, dark)
    *found, refused = dropped(tab, paths)
    for path, one in zip(paths, found, strict=False):
        pixels, probabilities, maps, score = by_runtime(path.read_bytes())
        order = np.argsort(-probabilities, kind="stable")
        assert [name for name, _ in one["rows"]] == [CLASSES[i] for i in order]
        np.testing.assert_allclose([share for _, share in one["rows"]], probabilities[order], atol=6e-5)
        assert one["unknown"] == (score > THRESHOLD)
        inside = [CLASSES[i] for i in order if i == len(CLASSES) - 1 or 1 - probabilities[i] <= LIMIT]
        assert f"Right in 90 % of pictures: one of {{{', '.join(inside)}}}" in one["said"]
        assert one["map"] == described(enlarged(maps[..., order[0]], FRAMING.size))
    assert {one["unknown"] for one in found} == {True, False}
    assert refused["said"][0].startswith("no <b>picture.txt is damaged, or no picture")
    assert any("aspect ratio 13:1" in words for words in found[1]["said"])
    assert tab.evaluate("document.documentElement.scrollWidth") <= width and tab.complaints == []
    # Nothing was asked of anybody, and nothing may be.
    assert tab.evaluate("performance.getEntriesByType('resource').filter((one) => !/^(blob|data):/.test(one.name)).length") == 0
    assert tab.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
    if os.environ.get("ZOO_TEST_AXE"):
        tab.evaluate('document.querySelector("details").open = true')
        tab.evaluate(Path(os.environ["ZOO_TEST_AXE"]).read_text("utf-8") + "; 0")
        assert tab.evaluate("axe.run().then((all) => all.violations.map((one) => [one.id, one.nodes[0].html]))") == []
    tab.close()


def test_heat_is_drawn_as_in_reports(chromium, page):
    heat = np.random.default_rng(0).integers(-3, 9, (64, 64)).astype("float32")  # many equal ones
    picture = np.asarray(photograph(64, 64))
    draw = """((pixels, heat) => {
        const canvas = overlay(Uint8Array.from(pixels), Float32Array.from(heat));
        return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
    })"""
    tab = ready(chromium, page)
    drawn = tab.evaluate(f"{draw}({picture.ravel().tolist()}, {heat.ravel().tolist()})")
    expected = overlay(picture, heat)
    found = np.reshape(drawn, (*expected.shape[:2], 4))[..., :3]
    assert np.abs(found - expected.astype(int)).max() <= 1
    tab.close()
