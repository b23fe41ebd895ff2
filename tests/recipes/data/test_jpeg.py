"""JPEGs with damage inside, which the decoder paints over: found, and never where there is none."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recipes.data.images import Framing, ImageError, decode
from recipes.data.jpeg import damage

SHARED = Path(os.environ.get("ZOO_SHARED", Path(__file__).parents[3] / ".." / "shared"))
FRAMING = Framing(32, 32, 3)


def jpeg(number, mode="RGB", side=160, **options):
    """A picture of coarse noise, encoded."""
    small = np.random.default_rng(number).integers(0, 256, (side // 8, side // 8, 3)).astype("uint8")
    stream = io.BytesIO()
    Image.fromarray(small).resize((side, side), Image.BICUBIC).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def rotten(data, number, count=30):
    """Put random bytes into the codes of a JPEG: behind its header, before its end."""
    rng, damaged = np.random.default_rng(number), bytearray(data)
    start = data.rindex(b"\xff\xda") + 20 if data.count(b"\xff\xda") == 1 else data.index(b"\xff\xda") + 20
    for place in rng.integers(start, len(data) - 2, count):
        damaged[place] = rng.integers(256)
    return bytes(damaged)


def is_said(data):
    try:
        return any(note.startswith("damaged inside (") for note in decode(data, FRAMING)[1])
    except ImageError:
        return True


@pytest.mark.fault(
    "Pictures",
    "a JPEG with 30 random bytes inside",
    "its name and what the decoder warns of are said; of 200, at least 195 are found",
    "the decoder paints something over the damage, and Pillow does not pass its warnings on",
)
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 8}, {"subsampling": 0}])
def test_bit_rot_is_found(options):
    found = [is_said(rotten(jpeg(i, **options), i)) for i in range(50)]
    assert sum(found) >= 48, sum(found)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}, {"subsampling": 1}, {"quality": 5}]
)
def test_whole_pictures_have_no_note(mode, options):
    for side in (8, 96, 104):
        assert damage(jpeg(side, mode, side, **options)) == []
    assert damage(jpeg(0, mode, **options) + b"what cameras write behind a picture") == []


def test_bit_rot_of_grey_and_cmyk():
    for mode in ("L", "CMYK"):
        assert sum(is_said(rotten(jpeg(i, mode), i)) for i in range(20)) >= 17


def test_notes_of_different_numbers_are_equal():
    """So that many damaged pictures are one line."""
    notes = {note for i in range(40) for note in damage(rotten(jpeg(i), i))}
    assert 1 <= len(notes) <= 4 and not any(character.isdigit() for note in notes for character in note)
    assert "damaged inside (extraneous bytes before marker): a part of the picture may be wrong" in notes


def test_real_photographs_have_no_note_and_their_rot_is_found():
    paths = sorted((SHARED / "data" / "imagenet-samples").glob("*.jpg"))[::10]
    if not paths:
        pytest.skip(f"no photographs in {SHARED}/data/imagenet-samples")
    whole = [path.read_bytes() for path in paths]
    assert [data for data in whole if damage(data)] == []
    assert sum(is_said(rotten(data, i)) for i, data in enumerate(whole)) >= 0.97 * len(whole)
