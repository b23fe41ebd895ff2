"""Large folders: what a picture more takes in memory, which files are open, near-duplicates among too many to compare all."""

import os
import threading
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from recipes.data import dataset, duplicates
from recipes.data.appearance import SIDE, thumbnails_of
from recipes.data.images import Framing
from recipes.data.key_index import KeyIndex
from recipes.data.sources.folder import scan_folder

FRAMING = Framing(8, 8, 1)


def folder_of(root, count):
    """A folder of so many pictures of four pixels, none of them the same."""
    for index in range(count):
        path = root / str(count) / f"class {index % 3}" / f"picture {index:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array([[index % 256, index // 256], [128, 255]], "uint8")).save(path)
    return root / str(count)


def read(folder):
    """List, decode and divide the pictures of a folder."""
    listing = scan_folder(folder)
    return listing, dataset.prepare(listing, FRAMING, 0.1, 0.1, 0)


@pytest.mark.slow
def test_a_picture_more_takes_less_than_a_kilobyte_and_no_open_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    held, opened = {}, {}
    for count in (500, 2_000):
        folder = folder_of(tmp_path, count)
        read(folder)
        tracemalloc.start()
        found = read(folder)
        held[count] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        opened[count] = len(os.listdir("/proc/self/fd"))
        assert len(found[1].paths) == count
        del found
    assert (held[2_000] - held[500]) / 1_500 < 1_000
    assert opened[2_000] == opened[500]


def test_an_index_knows_what_a_dictionary_knows():
    generator, index, truth = np.random.default_rng(0), KeyIndex(), {}
    for shard in range(60):
        keys = [str(key) for key in generator.choice(2_000, generator.integers(1, 50), replace=False)]
        texts = generator.integers(0, 5, len(keys))
        index.add(keys, shard, texts)
        truth |= {key: (shard, row, int(text)) for row, (key, text) in enumerate(zip(keys, texts, strict=True))}
        if shard % 7 == 0:
            found = index.find([str(key) for key in range(2_000)])
            assert [tuple(place) for place in found.tolist()] == [truth.get(str(key), (-1, -1, -1)) for key in range(2_000)]
    index.discard(59)
    gone = [key for key, place in truth.items() if place[0] == 59]
    assert gone and not (index.find(gone)[:, 0] == 59).any()


def test_threads_share_an_index():
    index, missed = KeyIndex(), []

    def work(shard):
        keys = [f"{shard} {row}" for row in range(200)]
        for start in range(0, 200, 10):
            index.add(keys[start : start + 10], shard, np.zeros(10))
            missed.extend(index.find(keys[: start + 10])[:, 0] != shard)

    workers = [threading.Thread(target=work, args=(shard,)) for shard in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(missed) == 8 * sum(range(10, 210, 10)) and not any(missed)


def test_near_duplicates_are_found_in_cells_as_among_all(monkeypatch):
    """Copies of a hundredth of 3,000 pictures, shifted by a twentieth, and mirrored."""
    generator = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(generator.normal(size=(3_000, SIDE, SIDE))) / frequency)
    grey = np.clip(128 + 50 * noise / noise.std(axis=(1, 2), keepdims=True), 0, 255).astype("uint8")
    copies = [Image.fromarray(one).crop((1, 1, SIDE, SIDE)).resize((SIDE, SIDE), Image.BILINEAR) for one in grey[:30]]
    copies[::2] = [one.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for one in copies[::2]]
    pictures = np.concatenate([np.stack([grey, grey], axis=1), np.stack([thumbnails_of(one) for one in copies])])
    everything = duplicates.near_duplicates(pictures)
    monkeypatch.setattr(duplicates, "MAX_ALL", 1_000)
    found = duplicates.near_duplicates(pictures)
    assert len(everything.pairs) >= 28 and found.usual == everything.usual
    assert [(pair.first, pair.second, pair.mirrored) for pair in found.pairs] == [
        (pair.first, pair.second, pair.mirrored) for pair in everything.pairs
    ]
    # The products of matrices are not rounded alike for any number of pictures.
    assert [pair.likeness for pair in found.pairs] == pytest.approx([pair.likeness for pair in everything.pairs], abs=1e-5)
