"""Files that are whole at any time, what is said when they cannot be written, and text that reads back as it was."""

import csv
import errno
import json
import os
import signal
from pathlib import Path

import pytest
from helpers import unprivileged

from zoo import files
from zoo.disk import WriteError, in_bytes, require_room, room
from zoo.files import as_cell, from_cell, replace_folder, write_csv, write_json


def test_sizes_are_said_in_three_digits_and_never_as_nothing():
    said = {0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1 kB", 312_400: "312 kB", 999_600: "1 MB", 1.5e9: "1.5 GB"}
    assert {count: in_bytes(count) for count in said} == said


def test_what_replaces_a_file_keeps_its_permissions_and_a_link_stays_one(tmp_path):
    target, link = tmp_path / "there" / "file.txt", tmp_path / "link.txt"
    target.parent.mkdir()
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    assert files.write_text(link, "new") == link
    assert link.is_symlink() and target.read_text() == "new" and target.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.txt", "there"]


@pytest.mark.fault(
    "Runs",
    "a writer is killed in the middle of a file",
    "The next process that writes into the folder removes what is left of it, and nothing else.",
    "The file's name says which process wrote it; who runs yet, and a name of another kind, is left alone.",
)
@pytest.mark.filterwarnings("ignore:.*fork")  # of threads that other tests have started; the child needs none
def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    if not (pid := os.fork()):
        files.replace(tmp_path / "a.txt", lambda new: (new.write_text("half"), os.kill(os.getpid(), signal.SIGKILL)))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL and len(os.listdir(tmp_path)) == 1
    living = f".{files.this_process().token}.0123abcd.txt"
    for name in (living, ".mine-1-2.notes.txt", ".1-2-3.0123abcd.txt"):
        (tmp_path / name).touch()
    files.write_text(tmp_path / "b.txt", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted([living, ".mine-1-2.notes.txt", ".1-2-3.0123abcd.txt", "b.txt"])


def test_what_cannot_be_written_names_the_file_and_leaves_the_old_one(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def full(new: Path) -> None:
        new.write_bytes(bytes(3000))
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WriteError, match=r"a\.txt cannot be written \(No space left on device\): it needs 3 kB or more, and"):
        files.replace(tmp_path / "a.txt", full)
    assert os.listdir(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "old"
    tmp_path.chmod(0o555)
    with unprivileged(), pytest.raises(WriteError, match=r"a\.txt cannot be written \(Permission denied\)"):
        files.write_text(tmp_path / "a.txt", "new")
    tmp_path.chmod(0o755)
    with pytest.raises(WriteError, match=f"it needs .* or more, and {in_bytes(room(tmp_path))} are free"):
        require_room(tmp_path / "b", 2 * room(tmp_path))


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    def refused(old, new, rename=os.rename):
        if new == tmp_path / "kept" and not (old / "old").exists():
            raise OSError(errno.EACCES, "no")
        rename(old, new)

    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "old").touch()
    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(WriteError):
        replace_folder(tmp_path / "kept", lambda new: (new / "new").touch())
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("kept"), Path("kept", "old")]


def test_words_of_hdf5_are_understood():
    error = WriteError(OSError("Can't write data (file write failed: errno = 28, error message = 'No space')"), "/x.h5", 10)
    assert error.errno == errno.ENOSPC and "it needs 10 bytes or more" in str(error)


def test_a_folder_is_held_by_one_process_and_its_note_goes_with_it(tmp_path):
    owner = tmp_path / ".owner"
    with files.occupied(owner):
        assert f"process {os.getpid()} on" in owner.read_text()
        with pytest.raises(BlockingIOError, match=f"process {os.getpid()} on"), files.occupied(owner):
            pass
        assert owner.exists()
    assert os.listdir(tmp_path) == []
    owner.write_text("process 1 on a machine, begun long ago")  # as a kill leaves it
    with files.occupied(owner):
        pass
    assert os.listdir(tmp_path) == []


def test_without_a_home_folder_the_cache_is_asked_for(monkeypatch):
    monkeypatch.delenv("ZOO_CACHE")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory.")))
    with pytest.raises(OSError, match="no home folder for the cache: set ZOO_CACHE"):
        files.cache_folder("pixels")


@pytest.mark.fault(
    "Runs",
    "A name begins as a formula does (=, +, -, @), and files.csv is opened in a spreadsheet",
    "an apostrophe before it makes it text; a reader takes it off",
    "the spreadsheet would compute it",
)
def test_cells_are_no_formulas_and_read_back(tmp_path):
    names = ["=1+1", "+1", "-1.jpg", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "'s-Hertogenbosch", "a=1", "", "1-2"]
    rows = [{"path": name, "=probability": -0.5, "count": -3, "none": None} for name in names]
    with open(write_csv(tmp_path / "files.csv", rows), newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [from_cell(row["path"]) for row in found] == names
    assert not [row["path"] for row in found if row["path"][:1] in "=+-@\t\r\n＝" and row["path"]]
    assert all((row["count"], row["none"]) == ("-3", "") and float(row["'=probability"]) == -0.5 for row in found)
    assert as_cell(-0.5) == -0.5 and as_cell("a") == "a" and from_cell("'tis") == "'tis"


def test_lists_of_numbers_stand_in_one_line(tmp_path):
    value = {"a": [1, -2.5, 3e-07], "b": ["[\n  1\n]", "[1,\n2]"], "c": [[1, 2], [3]], "d": [], "e": [True, None, 1]}
    text = write_json(tmp_path / "a.json", value).read_text()
    assert json.loads(text) == value and "[1, -2.5, 3e-07]" in text and "\n    [3]\n" in text
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": [float("nan")]})
    assert json.loads((tmp_path / "a.json").read_text()) == value
