"""`zoo label` as a person meets it: a page of pictures, the least sure first, and a table that every command takes."""

import io
import json
import os
import re
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import browser
import commands
import pytest
from helpers import digits_folder, few_digits
from pages_served import until
from PIL import Image
from server import Server

from recipes.data.sources import corrections
from recipes.web.desk import LEARNT_AT_ONCE

pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}
FLAGS = ("--model", "lenet5", "--strategy", "small")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A run of three digits, and 36 others without labels, one of them twice, beside what is no picture."""
    folder = tmp_path_factory.mktemp("labelling")
    done = commands.zoo("finetune", few_digits(folder / "digits", 12, 3), *FLAGS, "--output", folder / "run")
    assert done.poll() == 0, done.stderr
    more = digits_folder(folder / "more", 36)
    (folder / "new").mkdir()
    for label in range(3):
        for i, path in enumerate(sorted((more / str(label)).iterdir())[-12:]):
            shutil.copy(path, folder / "new" / f"{label}-{i:02}.png")
    shutil.copy(folder / "new" / "0-00.png", folder / "new" / "copy.png")
    (folder / "new" / "notes.txt").write_text("Holidays")
    return folder


@pytest.fixture(scope="module")
def server(place):
    running = Server("label", place / "new", place / "run", "--output", place / "out")
    yield running
    running.command.signal(signal.SIGTERM)
    assert running.command.wait() == 0, running.command.stderr


def put(server, picture, action="label", labels=(), status=200) -> dict:
    body = json.dumps({"picture": picture, "action": action, "labels": list(labels)}).encode()
    found, told, _ = server.ask("POST", "/labels", body, JSON)
    assert found == status, told
    return told


def table(folder: Path) -> dict[str, tuple[str, str]]:
    """What corrections.csv holds, as every command reads it."""
    return {path: (row.action, row.to) for path, (row,) in corrections.read(folder / "corrections.csv").rows.items()}


def test_the_least_sure_come_first_as_predict_says(server, place):
    lines = commands.zoo("predict", place / "run", place / "new", "--all-classes", "--json", "-").stdout.splitlines()
    told = [one for one in map(json.loads, lines) if Path(one["path"]).name not in ("copy.png", "notes.txt")]
    said = {Path(one["path"]).name: sorted(one["probabilities"].values()) for one in told}
    lead = {name: found[-1] - found[-2] for name, found in said.items()}
    _, told, _ = server.ask("GET", "/queue")
    assert told["progress"] == {"done": 0, "pictures": 36, "rate": None, "learnt": 0}
    found = [lead[one["path"]] for one in told["next"]]
    # The batch has 20 of 36: at most 16 that are less sure come later, for they are like others.
    assert found == sorted(found) and len(found) > 3
    assert all(one <= bound + 1e-5 for one, bound in zip(found, sorted(lead.values())[36 - LEARNT_AT_ONCE :], strict=False))
    assert "notes.txt" in server.command.stderr and "is a copy of 0-00.png" in server.command.stderr
    first = told["next"][0]
    assert sorted(one["probability"] for one in first["ranked"]) == pytest.approx(said[first["path"]], abs=1e-5)
    status, image, headers = server.ask("GET", f"/pictures/{first['picture']}/image")
    assert status == 200 and headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(image["content"])) as shown, Image.open(place / "new" / first["path"]) as file:
        assert shown.size == file.size


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "words"),
    [
        ("GET", "/pictures/36", None, {}, 404, "from 0 to 35"),
        ("GET", "/pictures/-1/image", None, {}, 404, "no such picture"),
        ("GET", "/pictures/..%2f..%2frun%2fmodel.keras/image", None, {}, 404, "nothing at this address"),
        ("GET", "/pictures/../../etc/passwd", None, {}, 404, "nothing at this address"),
        ("PUT", "/labels", b"{}", JSON, 405, "that method"),
        ("POST", "/labels", b"{}", {"Content-Type": "text/plain"}, 415, "application/json"),
        ("POST", "/labels", b"{", JSON, 400, "no JSON"),
        ("POST", "/labels", b"[" * 50_000, JSON, 400, "no JSON"),
        ("POST", "/labels", b"[1]", JSON, 400, "an object"),
        ("POST", "/labels", b'{"picture": 0, "action": "label", "path": "/etc"}', JSON, 400, "an object"),
        ("POST", "/labels", b'{"picture": true, "action": "label"}', JSON, 400, "whole number"),
        ("POST", "/labels", b'{"picture": 99, "action": "skip"}', JSON, 404, "from 0 to 35"),
        ("POST", "/labels", b'{"picture": 0, "action": "delete"}', JSON, 400, "one of label"),
        ("POST", "/labels", b'{"picture": 0, "action": "label", "labels": "0"}', JSON, 400, "a list"),
        ("POST", "/labels", b'{"picture": 0, "action": "label", "labels": ["fox"]}', JSON, 422, "fox is no class"),
        ("POST", "/labels", b'{"picture": 0, "action": "label", "labels": ["0", "1"]}', JSON, 422, "found 2"),
        ("POST", "/labels", b" " * 100_001, JSON, 413, "100,000 bytes"),
        ("GET", "/queue", None, {"Host": "evil.example"}, 421, "localhost"),
        ("POST", "/labels", b"{}", {"Sec-Fetch-Site": "cross-site"}, 403, "other sites"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(server, place, method, path, body, headers, status, words):
    found, told, _ = server.ask(method, path, body, headers)
    assert found == status and list(told) == ["error"] and words in told["error"]
    assert re.fullmatch(r"[A-Za-z].*\.", told["error"]) and not (place / "out" / "corrections.csv").exists()


AXE = "axe.run().then((all) => all.violations.map((one) => [one.id, one.nodes[0].html]))"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["light", "dark on a telephone"])
def test_the_page_by_keyboard(server, place, width, dark):
    """Three labels, one of them undone, and one picture left out; then everything is taken back."""
    if (path := browser.program()) is None:
        pytest.skip("no Chromium here: install Debian's chromium, or set ZOO_TEST_CHROMIUM")
    with browser.started(path) as chromium:
        tab = chromium.open(server.address, width, dark=dark)
        until(tab, 'byId("image").complete && byId("image").naturalWidth > 0')
        names = []
        for key in ("2", "s", "Enter", "1", "x"):
            names.append(tab.evaluate('byId("name").textContent'))
            likeliest = tab.evaluate('document.querySelector(".likely .what").textContent')
            tab.press(key)
            until(tab, f'byId("name").textContent !== {json.dumps(names[-1])} && !isBusy')
            if key == "Enter":
                agreed = likeliest
        tab.press("u")
        until(tab, f'byId("name").textContent === {json.dumps(names[-1])} && !isBusy')
        expected = {names[0]: ("relabel", "1"), names[2]: ("relabel", agreed), names[3]: ("relabel", "0")}
        assert table(place / "out") == expected and names[1] not in expected
        tab.press("ArrowLeft")
        until(tab, f'byId("name").textContent === {json.dumps(names[3])} && !isBusy')
        assert "You said 0." in tab.evaluate('byId("given").textContent')
        assert tab.evaluate("document.documentElement.scrollWidth") <= width and tab.complaints == []
        if os.environ.get("ZOO_TEST_AXE"):
            tab.evaluate(Path(os.environ["ZOO_TEST_AXE"]).read_text("utf-8") + "; 0")
            assert tab.evaluate(AXE) == []
        for _ in range(4):
            before = tab.evaluate("done.length")
            tab.press("u")
            until(tab, f"done.length < {before} && !isBusy")
    assert table(place / "out") == {}


def test_labels_that_come_at_once_are_all_written(server, place):
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda i: put(server, i, "label", [str(i % 3)]), range(16)))
    assert {one["was"]["action"] for one in told} == {""} and max(one["progress"]["done"] for one in told) == 16
    assert len(table(place / "out")) == 16
    for i in range(16):
        assert put(server, i, "")["was"] == {"action": "label", "labels": [str(i % 3)]}


def test_two_do_not_write_one_table(server, place):
    said = commands.refused("label", place / "new", place / "run", "--output", place / "out", "--port", "0")
    assert "is being written by" in said


@pytest.mark.fault(
    "Folders",
    "`zoo label` is killed while labels come in, and started again",
    "corrections.csv is whole and holds each label of which the page said that it is saved; it goes on from there",
    "an hour of a person's labels is dearer than any computation",
)
def test_a_kill_loses_no_label_and_the_labels_train(place):
    out, saved = place / "killed", {}
    running = Server("label", place / "new", place / "run", "--output", out)
    _, told, _ = running.ask("GET", "/queue")

    def go_on() -> None:
        waiting = told["next"]
        while waiting:
            one = waiting[0]
            try:
                waiting = put(running, one["picture"], "label", [one["path"][0]])["next"]
            except OSError:
                return
            saved[one["path"]] = ("relabel", one["path"][0])
            if len(saved) == 25:
                os.kill(running.command.pid, signal.SIGKILL)

    thread = threading.Thread(target=go_on)
    thread.start()
    thread.join()
    assert running.command.wait() == -signal.SIGKILL and len(saved) == 25
    assert saved.items() <= table(out).items() and len(table(out)) <= 26
    assert not [path.name for path in out.iterdir() if path.name not in ("corrections.csv", ".zoo", ".owner")]

    again = Server("label", place / "new", place / "run", "--output", out)
    _, told, _ = again.ask("GET", "/queue")
    assert told["progress"]["done"] == len(table(out)) and not {one["path"] for one in told["next"]} & set(table(out))
    for one in told["next"]:
        put(again, one["picture"], "label", [one["path"][0]])
    again.command.signal(signal.SIGINT)
    assert again.command.wait() == 0
    (words,) = commands.said_next(again.command.stdout)
    assert words == ["finetune", str(place / "new"), "--corrections", str(out / "corrections.csv")]
    done = commands.zoo(*words, *FLAGS, "--output", place / "second")
    assert done.poll() == 0, done.stderr
    result = json.loads((place / "second" / "result.json").read_text())
    count = len(table(out))
    assert result["corrections"]["actions"]["relabel"] == count and list(result["class_counts"]["train"]) == ["0", "1", "2"]
    assert sum(result["counts"][part] for part in ("train", "validation", "test")) == count


def test_pictures_with_labels_are_confirmed_and_corrected(place):
    """A picture beside class folders comes first, agreeing is `keep`, and the table may be one that `zoo check` has begun."""
    with Image.open(place / "new" / "1-01.png") as image:  # turned, so that it is no copy of another
        image.rotate(8).save(place / "digits" / "train" / "loose.png")
    checked = place / "checked"
    done = commands.zoo("check", place / "digits" / "train", "--output", checked)
    assert (checked / "corrections.csv").exists(), done.stderr
    running = Server("label", place / "digits" / "train", place / "run", "--output", checked)
    _, told, _ = running.ask("GET", "/queue")
    first, second, third, *_ = told["next"]
    assert first["path"] == "loose.png" and first["given"] == [] and second["given"] == [second["path"][0]]
    put(running, first["picture"], "label", ["1"])
    put(running, second["picture"], "label", second["given"])
    other = next(name for name in "012" if name not in third["given"])
    put(running, third["picture"], "label", [other])
    running.command.signal(signal.SIGTERM)
    assert running.command.wait() == 0
    found = {path: rows[0] for path, rows in corrections.read(checked / "corrections.csv").rows.items()}
    assert {path: (row.action, row.to) for path, row in found.items()} == {
        "loose.png": ("relabel", "1"),
        second["path"]: ("keep", ""),
        third["path"]: ("relabel", other),
    }
    said = commands.refused("label", place / "new", place / "run", "--output", checked, "--port", "0")
    assert "is about other pictures" in said
