"""Archives as DATA: unpacked once, by content; and those that are not unpacked."""

import io
import os
import tarfile
import zipfile

import pytest

from recipes.data.sources import archive
from recipes.data.sources.chosen import scan
from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from zoo.files import cache_folder

NAMES = [f"photos/{label}/{i}.jpg" for label in ("cat", "dog") for i in range(3)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def zipped(path, names=NAMES, **contents):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, contents.get(name, name))
    return path


def tarred(path, names=NAMES, mode="w", change=lambda info: info):
    with tarfile.open(path, mode) as file:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            file.addfile(change(info), io.BytesIO(name.encode()))
    return path


def refusal(path):
    with pytest.raises(UserError) as caught:
        scan(Recipe(path))
    assert str(caught.value).isprintable() and not any((cache_folder("archives")).glob("[!.]*"))
    assert not [name for name in os.listdir(cache_folder("archives")) if not name.startswith(".")]
    return str(caught.value).replace(f"{path.parent}/", "")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.TAR.XZ"])
def test_an_archive_is_the_folder_that_it_holds(tmp_path, name):
    mode = {"gz": "w:gz", "gz2": "w:gz", "z2": "w:bz2", "xz": "w:xz"}.get(name.lower()[-2:], "w")
    mode = "w:gz" if name.endswith("tgz") else mode
    path = zipped(tmp_path / name) if name.endswith("zip") else tarred(tmp_path / name, mode=mode)
    found = scan(Recipe(path))
    assert found.classes == ("cat", "dog") and [file.path for file in found.files] == [n.partition("/")[2] for n in NAMES]
    assert (found.root / "cat" / "0.jpg").read_text() == "photos/cat/0.jpg" and found.root.name == "photos"


def test_an_archive_is_unpacked_once_by_content(tmp_path):
    first = scan(Recipe(zipped(tmp_path / "a.zip"))).root
    before = (first / "cat" / "0.jpg").stat().st_mtime_ns
    copy = tmp_path / "a copy.zip"
    copy.write_bytes((tmp_path / "a.zip").read_bytes())
    (tmp_path / "b").mkdir()
    moved = tmp_path / "b" / "a.zip"
    moved.write_bytes(copy.read_bytes())
    assert scan(Recipe(moved)).root == first and (first / "cat" / "0.jpg").stat().st_mtime_ns == before
    other = scan(Recipe(zipped(tmp_path / "a.zip", [*NAMES, "photos/cat/9.jpg"]))).root
    assert other != first and len(os.listdir(other / "cat")) == 4


def test_parts_and_a_table_of_its_pictures(tmp_path):
    names = [f"{part}/{label}/{i}.jpg" for part in ("train", "val") for label in ("cat", "dog") for i in range(3)]
    found = scan(Recipe(zipped(tmp_path / "a.zip", [*names, "__MACOSX/._x", ".DS_Store"])))
    assert {file.split for file in found.files} == {"train", "validation"}
    (tmp_path / "labels.csv").write_text("path,label\n" + "".join(f"{name},{i % 2}\n" for i, name in enumerate(NAMES)))
    found = scan(Recipe(zipped(tmp_path / "b.zip"), labels=tmp_path / "labels.csv"))
    assert found.classes == ("0", "1") and found.files[0].path.startswith("photos/")


def test_names_of_windows_are_paths(tmp_path):
    found = scan(Recipe(zipped(tmp_path / "a.zip", [name.replace("/", "\\") for name in NAMES])))
    assert found.classes == ("cat", "dog")


@pytest.mark.fault(
    "Archives",
    "A member's name leads out of the folder: .., an absolute path, a drive",
    "refused, naming it; nothing is unpacked",
    "a file elsewhere would be overwritten",
)
@pytest.mark.parametrize("name", ["../x.jpg", "photos/../../x.jpg", "/etc/x.jpg", "C:\\x.jpg", "..\\x.jpg", "c:x.jpg"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_stays_inside(tmp_path, name, kind):
    make = zipped if kind == "zip" else tarred
    sentence = refusal(make(tmp_path / f"a.{kind}", [*NAMES, name]))
    assert f"a.{kind} holds a member whose name leads out of its folder, {name}: nothing of it is unpacked" in sentence
    assert not (tmp_path / "x.jpg").exists() and not (tmp_path / "cache" / "x.jpg").exists()


@pytest.mark.fault(
    "Archives",
    "A member is a link, a device or a pipe",
    "refused, naming it, with the way to pack what it leads to",
    "a link may lead anywhere",
)
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    def change(info):
        if info.name.endswith("dog/2.jpg"):
            info.type, info.linkname, info.size = kind, "/etc/passwd", 0
        return info

    what = "a link" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else "a device or a pipe"
    sentence = refusal(tarred(tmp_path / "a.tar", change=change))
    assert f"a.tar holds {what}, photos/dog/2.jpg, which is not unpacked: pack what it leads to" in sentence


def test_a_link_in_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("photos/cat/0.jpg")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    assert "a.zip holds a link or a device, photos/cat/0.jpg" in refusal(tmp_path / "a.zip")


@pytest.mark.fault(
    "Archives",
    "Two members have one name, or differ only by case",
    "refused, naming both",
    "one would overwrite the other, on some disks",
)
@pytest.mark.parametrize(
    "name, sentence",
    [
        ("photos/cat/0.jpg", "a.tar holds photos/cat/0.jpg twice"),
        ("photos/./cat//0.jpg", "a.tar holds photos/./cat//0.jpg twice"),
        ("photos/cat/0.JPG", "a.tar holds 'photos/cat/0.jpg' and 'photos/cat/0.JPG', which differ only by case"),
        ("photos/Cat/9.jpg", "a.tar holds 'photos/cat' and 'photos/Cat', which differ only by case"),
    ],
)
def test_two_members_of_one_name_are_refused(tmp_path, name, sentence):
    assert sentence in refusal(tarred(tmp_path / "a.tar", [*NAMES, name]))


@pytest.mark.fault(
    "Archives",
    "The archive is a bomb: a hundred times as large as its file, or larger than the disk",
    "refused as soon as that is seen",
    "the disk would be full",
)
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_bomb_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.setattr(archive, "MIN_BOMB_BYTES", 100_000)
    path, zeros = tmp_path / name, bytes(2_000_000)
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("cat/0.jpg", zeros)
    else:
        with tarfile.open(path, "w:gz") as file:
            info = tarfile.TarInfo("cat/0.jpg")
            info.size = len(zeros)
            file.addfile(info, io.BytesIO(zeros))
    sentence = refusal(path)
    assert f"{name} of " in sentence and "holds 2 MB or more in 1 members, which no pictures do" in sentence
    monkeypatch.setattr(archive, "MIN_BOMB_BYTES", 1_000_000_000)
    monkeypatch.setattr(archive, "room", lambda _: 1_000_000)
    assert "holds 2 MB or more, and 1 MB are free in the cache: make room, or set ZOO_CACHE" in refusal(path)


def test_a_zip_that_lies_about_a_size_writes_no_more_than_it_says(tmp_path):
    path = zipped(tmp_path / "a.zip", ["photos/cat/0.jpg"])
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    assert int.from_bytes(data[at + 24 : at + 28], "little") == 16
    data[at + 24 : at + 28] = (4).to_bytes(4, "little")
    path.write_bytes(data)
    assert "a.zip is damaged, cut off or no such archive at photos/cat/0.jpg" in refusal(path)


@pytest.mark.fault(
    "Archives",
    "The archive is encrypted, damaged, cut off, empty or none",
    "refused, saying which",
    "half of the pictures would be taken for all",
)
def test_what_cannot_be_unpacked_is_one_sentence(tmp_path):
    path = zipped(tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    assert "a.zip is encrypted (photos/cat/0.jpg): unpack it yourself" in refusal(path)
    zipped(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"photos/dog/0.jpg", 1) + 16] ^= 1  # the content, which repeats the name
    path.write_bytes(data)
    assert "a.zip is damaged, cut off or no such archive at photos/dog/0.jpg (Bad CRC-32" in refusal(path)
    for name, data in (("a.zip", b""), ("b.zip", b"no zip"), ("a.tar", b"no tar"), ("a.tar.gz", b"\x1f\x8bno")):
        (tmp_path / name).write_bytes(data)
        assert f"{name} is damaged, cut off or no such archive" in refusal(tmp_path / name)
    for name, mode in (("c.tar.gz", "w:gz"), ("c.tar.xz", "w:xz"), ("c.tar.bz2", "w:bz2")):
        data = tarred(tmp_path / name, mode=mode).read_bytes()
        for size in (len(data) - 4, len(data) - 40, len(data) // 2):
            (tmp_path / name).write_bytes(data[:size])
            assert f"{name} is damaged, cut off" in refusal(tmp_path / name)
    data = tarred(tmp_path / "c.tar").read_bytes()
    for size in (512, 600, 1024, 1100, 3 * 1024, 6 * 1024):  # also between two members
        (tmp_path / "c.tar").write_bytes(data[:size])
        assert "c.tar is damaged, cut off" in refusal(tmp_path / "c.tar")
    assert "nothing.zip does not exist: give an archive" in refusal(tmp_path / "nothing.zip")


def test_another_file_is_refused_with_what_is_read(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match=r"photo.jpg is not a folder, nor by its ending a table \(.csv, .* archive \(.zip, "):
        scan(Recipe(tmp_path / "photo.jpg"))


def test_a_killed_unpacking_leaves_nothing_that_counts(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    path = zipped(tmp_path / "a.zip")
    with monkeypatch.context() as patch:
        patch.setattr(archive, "_check_size", killed)
        with pytest.raises(KeyboardInterrupt):
            scan(Recipe(path))
    assert os.listdir(cache_folder("archives")) == []
    assert len(scan(Recipe(path)).files) == 6
