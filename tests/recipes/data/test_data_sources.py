"""Listing folders: every layout and every odd thing that a folder can hold."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import pytest

from recipes.data.sources.folder import scan_folder
from recipes.data.sources.listing import File
from recipes.errors import UserError, shown

PROJECT = Path(__file__).parents[3]


def make(root, *paths):
    """Files with their own path as content; a path that ends with "/" is a folder."""
    for path in paths:
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(os.fsencode(path))
    return root


def paths(folder):
    return [file.path for file in folder.files]


def refusal(root):
    with pytest.raises(UserError) as caught:
        scan_folder(root)
    message = str(caught.value)
    assert message.isprintable()
    return message


def the_finding(folder, word):
    (finding,) = [finding for finding in folder.findings if word in finding]
    return finding


# Layouts


def test_class_folders(tmp_path):
    folder = scan_folder(make(tmp_path, "b/2.JPG", "b/10", "a/1.jfif", "a/notes.txt"))
    assert folder.root == tmp_path and folder.classes == ("a", "b")
    expected = [("a/1.jfif", "a"), ("a/notes.txt", "a"), ("b/10", "b"), ("b/2.JPG", "b")]
    assert folder.files == tuple(File(path, label, "") for path, label in expected)
    assert folder.left_out == () and folder.findings == ()


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_split_folders(tmp_path, validation):
    make(tmp_path, "test/a/1", "test/b/1", f"{validation}/a/1", f"{validation}/b/1", "Train/a/1", "Train/b/1")
    folder = scan_folder(str(tmp_path))
    assert folder.classes == ("a", "b")
    expected = {"train": "Train", "validation": validation, "test": "test"}
    assert [(file.split, file.path) for file in folder.files] == [
        (split, f"{name}/{label}/1") for split, name in expected.items() for label in "ab"
    ]


def test_files_beside_the_folders_are_left_out(tmp_path):
    make(tmp_path, "README.txt", "train/list.csv", "train/a/1", "train/b/1")
    expected = [(name, "lies outside the class folders") for name in ("README.txt", "train/list.csv")]
    assert list(scan_folder(tmp_path).left_out) == expected


def test_roots_that_are_none(tmp_path):
    make(tmp_path, "file", "empty/", "hidden/.DS_Store", "flat/1.jpg", "one/a/1", "deep/data/a/1")
    assert "does not exist" in refusal(tmp_path / "missing")
    assert "is not a folder" in refusal(tmp_path / "file")
    assert "is empty" in refusal(tmp_path / "empty")
    assert "is empty" in refusal(tmp_path / "hidden")
    assert "the images are not in class folders" in refusal(tmp_path / "flat")
    assert "one class folder only" in refusal(tmp_path / "one")
    assert f"give {tmp_path}/deep/data" in refusal(tmp_path / "deep")


def test_a_class_folder_without_files(tmp_path):
    make(tmp_path, "a/1", "b/.hidden.jpg", "b/sub/")
    assert f"{tmp_path}/b holds no usable file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "b/p.jpg")
    assert "b/p.jpg is not a regular file" in refusal(tmp_path)


def test_an_empty_class_folder_of_a_split(tmp_path):
    make(tmp_path, "train/a/1", "train/b/1", "val/a/1", "val/b/")
    assert f"{tmp_path}/val/b holds no usable file" in refusal(tmp_path)


def test_splits_mixed_with_classes(tmp_path):
    message = refusal(make(tmp_path, "train/a/1", "train/b/1", "cats/1", "dogs/1"))
    assert "(train)" in message and "(cats, dogs)" in message


def test_validation_without_train(tmp_path):
    make(tmp_path, "val/a/1", "val/b/1", "test/a/1", "test/b/1")
    assert "has test, val but no train/" in refusal(tmp_path)


def test_two_validation_folders(tmp_path):
    make(tmp_path, "train/a/1", "train/b/1", "val/a/1", "valid/a/1")
    assert "two folders for validation, val, valid" in refusal(tmp_path)


def test_images_directly_in_train(tmp_path):
    make(tmp_path, "train/1", "val/a/1")
    assert f"In {tmp_path}/train the images are not in class folders" in refusal(tmp_path)


def test_unknown_classes_of_a_split_are_refused(tmp_path):
    message = refusal(make(tmp_path, "train/a/1", "train/b/1", "val/b/1", "val/z/1"))
    assert "val holds classes that train/ does not have: z (and lacks a)" in message


def test_missing_classes_of_a_split_are_stated(tmp_path):
    folder = scan_folder(make(tmp_path, "train/a/1", "train/b/1", "train/c/1", "val/b/1"))
    assert folder.classes == ("a", "b", "c")
    assert folder.findings == ("val/ has no pictures of some classes: a, c.",)


# What is ignored, merged, left out


def test_hidden_and_system_files_are_ignored_at_every_depth(tmp_path):
    make(tmp_path, "a/1.jpg", "a/._1.jpg", "a/.ipynb_checkpoints/1.jpg", "a/Thumbs.db", "a/sub/desktop.ini")
    make(tmp_path, "a/sub/2.jpg", "b/1.jpg", "__MACOSX/a/._1.jpg", ".git/x", ".DS_Store")
    folder = scan_folder(tmp_path)
    assert folder.classes == ("a", "b") and paths(folder) == ["a/1.jpg", "a/sub/2.jpg", "b/1.jpg"]
    assert the_finding(folder, "ignored").startswith("Hidden or system files and folders, ignored: 7 ")


def test_nested_folders_are_merged_and_stated(tmp_path):
    folder = scan_folder(make(tmp_path, "a/1", "a/x/2", "a/x/y/3", "b/1"))
    assert paths(folder) == ["a/1", "a/x/2", "a/x/y/3", "b/1"] and {file.label for file in folder.files} == {
        "a",
        "b",
    }
    assert the_finding(folder, "subfolders").endswith("a (2).")


def test_only_regular_files_are_candidates(tmp_path, monkeypatch):
    make(tmp_path, "a/1", "b/1")
    os.mkfifo(tmp_path / "a/pipe.jpg")
    os.symlink("nowhere", tmp_path / "a/dangling.jpg")
    os.symlink("self.jpg", tmp_path / "a/self.jpg")
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a/socket.jpg")
        folder = scan_folder(tmp_path)
    assert paths(folder) == ["a/1", "b/1"]
    assert dict(folder.left_out) == {
        "a/dangling.jpg": "is a link to what does not exist",
        "a/pipe.jpg": "is not a regular file but a pipe, socket or device",
        "a/self.jpg": "cannot be read (Too many levels of symbolic links)",
        "a/socket.jpg": "is not a regular file but a pipe, socket or device",
    }


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"a*[?].jpg", b"line\nbreak.jpg"])
def test_odd_names_work(tmp_path, name):
    name = os.fsdecode(name)
    folder = scan_folder(make(tmp_path, f"a/{name}", f"{name}/1"))
    assert folder.files[1 if name < "a" else 0].path in (f"a/{name}", f"{name}/1")
    assert sorted(paths(folder)) == sorted([f"a/{name}", f"{name}/1"])
    assert all((tmp_path / path).read_bytes() == os.fsencode(path) for path in paths(folder))
    assert set(folder.classes) == {"a", name}
    shown(name).encode("utf-8")
    make(tmp_path, f"empty{name}/")
    assert f"empty{shown(name)}" in refusal(tmp_path)


def test_names_that_look_the_same_are_stated(tmp_path):
    composed, split = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    make(tmp_path, f"{composed}/1", f"{split}/1", "Dog/1", "dog/1", "cat/1")
    if len(os.listdir(tmp_path)) < 5:
        pytest.skip("this file system takes these names for the same")
    folder = scan_folder(tmp_path)
    assert len(folder.classes) == 5 and len(folder.findings) == 2
    assert "'caf\\xe9'" in the_finding(folder, "caf") and "'cafe\\u0301'" in the_finding(folder, "caf")
    assert "'Dog', 'dog'" in the_finding(folder, "dog")


def test_a_split_with_the_same_class_in_another_unicode_form(tmp_path):
    composed, split = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    make(tmp_path, "train/a/1", f"train/{composed}/1", "val/a/1", f"val/{split}/1")
    assert "Unicode form" in refusal(tmp_path)


# Links


def test_link_loops_end_and_are_stated(tmp_path):
    make(tmp_path, "a/1", "a/sub/2", "b/1")
    os.symlink(".", tmp_path / "a/self")
    os.symlink("..", tmp_path / "a/parent")
    os.symlink("../..", tmp_path / "a/sub/parent")
    os.symlink("../b", tmp_path / "a/other_class")
    os.symlink(".", tmp_path / "root")
    folder = scan_folder(tmp_path)
    assert paths(folder) == ["a/1", "a/sub/2", "b/1"] and folder.classes == ("a", "b")
    assert the_finding(folder, "reached before").count(", ") == 5  # all five links are named


def test_links_to_folders_and_files_are_followed_and_stated(tmp_path):
    make(tmp_path, "store/b/1", "store/more/2", "store/3", "root/a/1")
    root = tmp_path / "root"
    os.symlink("../store/b", root / "b")
    os.symlink("../../store/more", root / "a/more")
    os.symlink("../../store/3", root / "a/3")
    folder = scan_folder(root)
    assert paths(folder) == ["a/1", "a/3", "a/more/2", "b/1"]
    assert "Links to folders: b, a/more." in folder.findings


def test_a_file_counts_once_in_a_class(tmp_path):
    make(tmp_path, "a/1", "b/1")
    os.link(tmp_path / "a/1", tmp_path / "a/hard")
    os.symlink("1", tmp_path / "a/soft")
    os.link(tmp_path / "a/1", tmp_path / "b/hard")
    folder = scan_folder(tmp_path)
    assert paths(folder) == ["a/1", "b/1", "b/hard"]
    assert the_finding(folder, "already holds").endswith(": 2.")


def test_one_folder_for_two_classes_or_splits_is_refused(tmp_path):
    make(tmp_path, "classes/a/1", "splits/train/a/1", "splits/train/b/1")
    os.symlink("a", tmp_path / "classes/b")
    os.symlink("train", tmp_path / "splits/val")
    assert "one and the same folder" in refusal(tmp_path / "classes")
    assert "links to the same folder" in refusal(tmp_path / "splits")
    (tmp_path / "splits/val").unlink()
    make(tmp_path, "splits/val/a/2")
    os.symlink("../train/b", tmp_path / "splits/val/b")
    assert "one and the same folder" in refusal(tmp_path / "splits")


# Permissions: root may read everything, so these run as nobody


def scan_as_nobody(root):
    """What a process without privileges prints: the refusal, or left_out."""
    code = (
        "import os, sys\n"
        "from recipes.data.sources.folder import UserError, scan_folder as scan\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: print(scan(sys.argv[1]).left_out)\n"
        "except UserError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(root)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.fixture
def open_path():
    """A folder that everybody can enter; pytest's own is closed to other users."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_what_may_not_be_read(open_path):
    make(open_path, "a/1", "a/closed.jpg", "a/sub/2", "b/1")
    (open_path / "a/closed.jpg").chmod(0)
    (open_path / "a/sub").chmod(0)
    try:
        printed = scan_as_nobody(open_path)
        assert "('a/closed.jpg', 'cannot be read (Permission denied)')" in printed
        assert "('a/sub', 'is a folder that cannot be read (Permission denied)')" in printed
        (open_path / "b").chmod(0)
        assert scan_as_nobody(open_path).startswith(f"The folder {open_path}/b cannot be read (Permission denied)")
        open_path.chmod(0o311)
        assert f"The folder {open_path} cannot be read (Permission denied)" in scan_as_nobody(open_path)
    finally:
        for folder in (open_path, open_path / "a/sub", open_path / "b"):
            folder.chmod(0o755)


def test_every_folder_is_listed_and_every_entry_looked_at_once(tmp_path, monkeypatch):
    """So 10,000 classes are no harm: they take half a second."""
    make(tmp_path, *(f"{number}/x.jpg" for number in range(200)))
    listings, looks = [], []
    monkeypatch.setattr(os, "scandir", lambda path, real=os.scandir: listings.append(path) or real(path))
    monkeypatch.setattr(os, "stat", lambda path, real=os.stat: looks.append(path) or real(path))
    assert len(scan_folder(tmp_path).files) == 200
    assert len(listings) == len(set(listings)) == 201
    assert len(looks) == len(set(looks)) == 401
