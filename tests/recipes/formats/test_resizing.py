"""Resizing inside a graph, against Pillow's own."""

import io

import keras
import numpy as np
import pytest
from PIL import Image

from recipes.data.images import Framing, center, decode
from recipes.errors import UserError
from recipes.formats import resizing

# Width and height: larger and smaller than what they become, odd, square, as they are, longer than 10:1, and ties of rounding.
SIZES = [(500, 375), (333, 487), (31, 45), (64, 64), (48, 48), (1301, 99), (50, 777), (7, 90), (49, 96), (1024, 1023)]


def photograph(width, height, channels):
    """A picture with edges and noise, for smooth ones are resized alike by everybody."""
    generator = np.random.default_rng(width * height)
    rough = Image.fromarray(generator.integers(0, 256, (9, 7, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.NEAREST
    )
    values = np.array(rough).astype(int) + generator.integers(-60, 61, (height, width, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB" if channels == 3 else "L")


@pytest.mark.parametrize("interpolation", resizing.INTERPOLATIONS)
@pytest.mark.parametrize("size, resize, channels", [(48, 55, 3), (40, 48, 1), (48, 48, 3)])
def test_ten_sizes_are_framed_as_pillow_does(interpolation, size, resize, channels):
    framing, differences = Framing(size, resize, channels, interpolation), []
    for shape in SIZES:
        picture, file = photograph(*shape, channels), io.BytesIO()
        picture.save(file, "png")
        expected = center(decode(file.getvalue(), framing)[0], framing).astype(int)
        given = np.array(picture).reshape(1, shape[1], shape[0], channels)
        found = keras.ops.convert_to_numpy(resizing.framed(given, framing))[0]
        assert found.shape == expected.shape
        differences.append(np.abs(found - expected))
        assert differences[-1].max() <= (interpolation != "bilinear"), shape
    assert np.mean(differences) < 1e-3


def test_an_interpolation_that_no_graph_has_is_refused():
    with pytest.raises(UserError, match="hamming: leave --any-size out"):
        resizing.check(Framing(48, 55, 3, "hamming"), "--any-size")
