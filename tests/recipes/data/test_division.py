"""Near-duplicates in divisions: one group; left out as leaks; kept where a person says so, and where nothing else is there."""

import pytest
from PIL import Image, ImageOps
from scenes import jpeg, scene

from recipes.data.dataset import prepare, training_files
from recipes.data.images import Framing
from recipes.data.sources import corrections
from recipes.data.sources.folder import scan_folder
from recipes.errors import UserError

SMALL = Framing(32, 32, 3)


def save(image: Image.Image, path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write(root, label, seeds):
    for seed in seeds:
        save(scene(seed, (64, 48)), root / label / f"{seed}.png")


def copies(seed):
    """Six pictures that are nearly one."""
    image = scene(seed, (64, 48))
    turned = [image, ImageOps.mirror(image)]
    return [jpeg(one, quality) for one in turned for quality in (90, 60, 40)]


@pytest.fixture
def parts(tmp_path):
    """Twelve pictures of each class to train on, and four to test, of which one of each is nearly one of those."""
    for number, label in enumerate("ab"):
        write(tmp_path / "train", label, range(100 * number, 100 * number + 12))
        write(tmp_path / "test", label, range(100 * number + 50, 100 * number + 53))
        save(ImageOps.mirror(scene(100 * number, (64, 48))), tmp_path / "test" / label / "mirrored.png")
    return tmp_path


@pytest.mark.parametrize("seed", range(3))
def test_near_duplicates_stay_together_and_are_trained_on_as_without_decoding(tmp_path, seed):
    for number, label in enumerate("ab"):
        write(tmp_path, label, range(100 * number, 100 * number + 12))
        for i, image in enumerate(copies(100 * number)[1:]):
            save(image, tmp_path / label / f"copy{i}.png")
    (tmp_path / "a" / "broken.png").write_text("no picture")
    listing = scan_folder(tmp_path)
    data = prepare(listing, SMALL, 0.2, 0.2, seed)
    for label in "ab":
        of_one = {name: data.splits[i] for i, name in enumerate(data.paths) if name.startswith(f"{label}/copy")}
        assert (
            len(of_one) == 5
            and len({*of_one.values(), data.splits[data.paths.index(f"{label}/{100 * (label == 'b')}.png")]}) == 1
        )
    assert len(set(data.groups)) == 24
    assert [file.path for file in training_files(listing, 0.2, 0.2, seed)] == [data.paths[i] for i in data.part("train")]


@pytest.mark.parametrize("keep", [False, True])
def test_of_given_parts_the_training_files_are_those_that_are_trained_on(parts, keep):
    listing = scan_folder(parts)
    data = prepare(listing, SMALL, 0.2, 0.2, 0, keep)
    assert len(data.part("test")) == (8 if keep else 6) and len(data.part("validation"))
    assert [file.path for file in training_files(listing, 0.2, 0.2, 0, keep)] == [data.paths[i] for i in data.part("train")]


@pytest.mark.fault(
    "Divisions",
    "A picture to test on is nearly one to train on: mirrored, resized, compressed again",
    "left out of what is measured, counted in a sentence; `keep` in a table of corrections, or `--keep-leaks`, keeps it",
    "the model has seen what it is measured on",
)
def test_near_leaks_are_counted_and_a_person_may_keep_one(parts):
    (said,) = (
        sentence for sentence in prepare(scan_folder(parts), SMALL, 0, 0, 0).findings if "near-duplicate, left" in sentence
    )
    assert "keeps one, --keep-leaks all): 2 of test (test/a/mirrored.png = train/a/0.png; test/b" in said
    table = parts.parent / "corrections.csv"
    table.write_text("path,action\ntest/a/mirrored.png,keep\n")
    data = prepare(corrections.corrected(scan_folder(parts), corrections.read(table)), SMALL, 0, 0, 0)
    assert "test/a/mirrored.png" in data.paths
    assert [path for path, _ in data.left_out] == ["test/b/mirrored.png"]


@pytest.mark.fault(
    "Divisions",
    "All pictures of a class, or of a part, are near-duplicates of one another",
    "taken for different pictures there, which the report says",
    "nothing could be divided, or measured",
)
def test_a_class_of_near_duplicates_is_divided_all_the_same(tmp_path):
    write(tmp_path, "a", range(12))
    for i, image in enumerate(copies(100)):
        save(image, tmp_path / "b" / f"{i}.png")
    save(ImageOps.mirror(scene(0, (64, 48))), tmp_path / "a" / "mirrored.png")
    data = prepare(scan_folder(tmp_path), SMALL, 0.2, 0.2, 0)
    assert min(data.counts(part)["b"] for part in ("train", "validation", "test")) > 0
    assert any("6 of them, since otherwise b would have too few to divide" in sentence for sentence in data.findings)
    assert len(set(data.groups)) == 12 + 6  # those of the other class stay together


def test_a_part_of_near_duplicates_is_measured_all_the_same(tmp_path):
    for number, label in enumerate("ab"):
        write(tmp_path / "train", label, range(100 * number, 100 * number + 12))
        for seed in range(100 * number, 100 * number + 3):
            save(ImageOps.mirror(scene(seed, (64, 48))), tmp_path / "test" / label / f"{seed}.png")
    data = prepare(scan_folder(tmp_path), SMALL, 0.2, 0.2, 0)
    assert len(data.part("test")) == 6 and data.left_out == []
    assert any("6 of them, since otherwise test holds nothing else" in sentence for sentence in data.findings)
    with pytest.raises(UserError, match="needs at least 4 different pictures"):
        prepare(scan_folder(tmp_path / "test"), SMALL, 0.2, 0.2, 0)
