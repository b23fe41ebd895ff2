"""Pages name no folder of the machine that they were made on."""

import os

import pytest

from recipes.report.sharing import shortener


@pytest.mark.parametrize(
    "text, shared",
    [
        ("/home/ada lovelace/pictures/cats", "…/cats"),
        ("zoo finetune '/home/ada lovelace/cats' --output /tmp/run --seed 0", "zoo finetune '…/cats' --output …/run --seed 0"),
        ("/home/ada lovelace", "…"),
        ("the file /etc/hosts, and /usr/share/x.txt.", "the file …/hosts, and …/x.txt."),
        ("train/ants/1.jpg", "train/ants/1.jpg"),
        ("../pictures and ~/pictures", "../pictures and ~/pictures"),
        ("/m/0abc", "/m/0abc"),  # a class of Open Images
        ("https://example.com/usr/bin", "https://example.com/usr/bin"),
        ("and/or, 1/2, km/h", "and/or, 1/2, km/h"),
        ("data:image/png;base64,+/tmp/abc", "data:image/png;base64,+/tmp/abc"),
    ],
)
def test_paths_lose_their_folders_and_nothing_else_does(monkeypatch, text, shared):
    monkeypatch.setenv("HOME", "/home/ada lovelace")
    assert {"etc", "usr", "tmp"} <= set(os.listdir("/"))
    assert shortener()(text) == shared


def test_a_working_folder_that_is_gone_stops_no_page(tmp_path, monkeypatch):
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert shortener()(f"{tmp_path}/a/b.jpg") == "…/b.jpg"
