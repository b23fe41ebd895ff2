"""`zoo serve` as its clients meet it: a process that answers as `zoo predict` does, refuses in sentences, and ends politely."""

import base64
import hashlib
import io
import json
import os
import random
import re
import signal
import struct
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import browser
import commands
import pytest
from helpers import few_digits
from pages_served import answered, until
from PIL import Image
from server import SECONDS, Server

from recipes.data.sources.chosen import listed
from recipes.errors import UserError
from recipes.settings.serve import Serving

pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow

TOKEN = "correct-horse-battery"
JPEG = {"Content-Type": "image/jpeg"}


def form(*files: tuple[str, bytes]) -> tuple[bytes, dict]:
    """A form with files, as browsers send one."""
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


@dataclass(frozen=True)
class Corrected:
    data: Path
    corrections: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of digits, in a folder with a name that no client is to see."""
    folder = tmp_path_factory.mktemp("ada lovelace")
    digits = few_digits(folder / "digits", images=24, classes=3)
    command = commands.zoo("finetune", digits, "--model", "lenet5", "--strategy", "small", "--output", folder / "run")
    assert command.poll() == 0, command.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def pictures(run) -> list[Path]:
    return sorted((run.parent / "digits").rglob("*.png"))[::12]


@pytest.fixture(scope="module")
def server(run):
    running = Server("serve", run, "--max-megabytes", "1", "--max-pixels", "1000000", "--collect", run.parent / "kept")
    yield running
    running.command.signal(signal.SIGTERM)
    assert running.command.wait() == 0, running.command.stderr


@pytest.fixture(scope="module")
def predicted(run, pictures) -> dict[str, dict]:
    """What `zoo predict` says, by file."""
    lines = commands.zoo("predict", run, *pictures, "--all-classes", "--coverage", "0.8", "--json", "-").stdout.splitlines()
    return {Path(one["path"]).name: one for one in map(json.loads, lines)}


def test_answers_are_those_of_predict_alone_and_in_a_form(server, pictures, predicted):
    alone = [server.ask("POST", "/predict?top=3&coverage=0.8", path.read_bytes(), JPEG) for path in pictures]
    by_curl = server.ask("POST", "/predict", pictures[0].read_bytes(), {"Content-Type": "application/x-www-form-urlencoded"})
    assert by_curl[0] == 200, "what `curl --data-binary` says of a body"
    body, headers = form(*((path.name, path.read_bytes()) for path in pictures))
    status, together, _ = server.ask("POST", "/predict?top=3&coverage=0.8", body, headers)
    assert status == 200 and {status for status, *_ in alone} == {200}
    assert [one["file"] for one in together["predictions"]] == [path.name for path in pictures]
    for path, (_, single, _), both in zip(pictures, alone, together["predictions"], strict=True):
        said = predicted[path.name]
        for one in (single["predictions"][0], both):
            ranked = {row["class"]: row["probability"] for row in one["ranked"]}
            assert ranked == pytest.approx(said["probabilities"], abs=1e-5) and one["error"] is None
            assert one["prediction"] == said["prediction"] == next(iter(ranked))
            assert sorted(one["set"]) == sorted(said["set"]) and one["unknown"] == said["unknown"]


def test_of_several_pictures_a_bad_one_takes_none_with_it(server, pictures):
    body, headers = form(("a.png", pictures[0].read_bytes()), ("notes.txt", b"Holidays"))
    status, found, _ = server.ask("POST", "/predict", body, headers)
    good, bad = found["predictions"]
    assert status == 200 and good["prediction"] and bad["error"] == "is a text file" and bad["prediction"] is None
    status, found, _ = server.ask("POST", "/predict", *form(("notes.txt", b"Holidays")))
    assert (status, found) == (422, {"error": "notes.txt is a text file."})


def test_an_explanation_has_a_map_and_training_pictures_without_their_folders(server, run, pictures):
    status, found, _ = server.ask("POST", "/predict?explain=true", pictures[0].read_bytes(), JPEG)
    told = found["predictions"][0]["explanation"]
    assert status == 200 and told["class"] == found["predictions"][0]["prediction"] and "hottest" in told["words"]
    with Image.open(io.BytesIO(base64.b64decode(told["map"].partition(",")[2]))) as drawn:
        assert min(drawn.size) >= 200
    files = {path.name for path in (run.parent / "digits").rglob("*.png")}
    assert len(told["nearest"]) == 4 and {one["file"] for one in told["nearest"]} <= files - {pictures[0].name}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "words"),
    [
        ("GET", "/nothing", None, {}, 404, "openapi.json"),
        ("GET", "/../../etc/passwd", None, {}, 404, "nothing at this address"),
        ("PUT", "/predict", b"x", {}, 405, "that method"),
        ("POST", "/predict", None, {}, 400, "has no picture"),
        ("POST", "/predict?top=0", b"x", {}, 400, "from 1 to 1000, found '0'"),
        ("POST", "/predict?top=1e1", b"x", {}, 400, "top must be"),
        ("POST", "/predict?coverage=nan", b"x", {}, 400, "between 0 and 1"),
        ("POST", "/predict?explain=yes", b"x", {}, 400, "true or false"),
        ("POST", "/predict?run=other", b"x", {}, 404, "choose of run"),
        ("POST", "/predict?topp=1", b"x", {}, 400, "choose of run, top"),
        ("POST", "/predict?top=1&top=2", b"x", {}, 400, "given twice"),
        ("POST", "/predict", b"{}", {"Content-Type": "application/json"}, 415, "multipart/form-data"),
        ("POST", "/predict", b"x", {"Content-Type": "multipart/form-data"}, 400, "form cannot be read"),
        ("POST", "/predict", b"x" * 1_000_001, {}, 413, "more than 1,000,000 bytes"),
        ("POST", "/corrections?label=9", b"x", {}, 400, "one of 0, 1, 2, found '9'"),
        ("POST", "/corrections?label=0&label=1", b"x", {}, 400, "of one class, found 2"),
        ("POST", "/corrections", b"x", {}, 400, "of one class, found 0"),
        ("POST", "/corrections?label=0&top=1", b"x", {}, 400, "choose of run, label"),
        ("POST", "/corrections?label=0", b"Holidays", {}, 422, "is a text file"),
        ("POST", "/corrections?label=0", *form(("a.png", b"x"), ("b.png", b"y")), 400, "of one picture, found 2"),
        ("POST", "/predict", b"x", {"Content-Length": "9" * 15, "Expect": "100-continue"}, 413, "more than 1,000,000 bytes"),
        ("GET", "/models", None, {"Origin": "http://evil.example"}, 403, "other sites"),
        ("GET", "/models", None, {"Origin": "null"}, 403, "other sites"),
        ("GET", "/models", None, {"Origin": "http://["}, 403, "other sites"),
        ("GET", "/models", None, {"Host": "evil.example"}, 421, "localhost"),
        ("GET", "/models", None, {"Sec-Fetch-Site": "cross-site"}, 403, "other sites"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence_that_the_document_knows(server, method, path, body, headers, status, words):
    found, told, sent = server.ask(method, path, body, headers)
    assert found == status and list(told) == ["error"] and words in told["error"]
    assert re.fullmatch(r"[A-Za-z].*\.", told["error"]) and sent["x-content-type-options"] == "nosniff"
    listed = server.ask("GET", "/openapi.json")[1]["paths"].get(path.partition("?")[0], {}).get(method.lower())
    assert listed is None or str(status) in listed["responses"]


def test_a_picture_with_too_many_pixels_is_refused_on_its_header(server):
    buffer = io.BytesIO()
    Image.new("1", (2000, 2000)).save(buffer, "PNG")
    data = buffer.getvalue()
    status, told, _ = server.ask("POST", "/predict", data)
    assert status == 413 and told["error"] == "The picture has 4,000,000 pixels, more than the limit of 1,000,000."
    head = b"IHDR" + struct.pack(">II", 60_000, 60_000) + data[24:29]
    status, told, _ = server.ask("POST", "/predict", data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:])
    assert status == 413 and told["error"] == "The picture has 3,600,000,000 pixels, more than the limit of 50,000,000."


def spoilt(count: int) -> list[bytes]:
    """Uploads that somebody has damaged, cut off, or that never were pictures."""
    chance, whole = random.Random(0), []
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO"):
        buffer = io.BytesIO()
        Image.effect_noise((48, 40), 60).convert("RGB").save(buffer, kind)
        whole.append(buffer.getvalue())
    found = [
        b"\0",
        b"<svg/>",
        b"%PDF-1.4",
        b"PK\3\4",
        b"GIF89a",
        b"\xff\xd8\xff",
        b"II*\0\xff\xff\xff\xff",
        b"RIFF\xff\xff\xff\xffWEBP",
    ]
    while len(found) < count:
        data = bytearray(chance.choice(whole))
        kind = chance.randrange(4)
        if kind == 0:
            data = data[: chance.randrange(1, len(data))]
        elif kind == 1:
            for _ in range(chance.randrange(1, 30)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        elif kind == 2:
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(min(64, len(data)))] = chance.randrange(256)
        else:
            data = bytearray(chance.randbytes(chance.randrange(1, 400)))
        found.append(bytes(data))
    return found


@pytest.mark.fault(
    "Prediction",
    "5,000 damaged uploads, one after the other",
    "each is refused in a sentence with a status from 400 to 499, or used with a note",
    "a server must live through whatever it is sent, and say nothing of its folders",
)
@pytest.mark.parametrize("count", [400, pytest.param(5_000, marks=pytest.mark.deep)])
def test_malformed_uploads_are_refused_in_a_sentence(server, run, count):
    connection, statuses = server.connect(), {}
    for data in spoilt(count):
        connection.request("POST", "/predict", data)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert answer.status in (200, 400, 413, 422), told
        if answer.status != 200:
            assert list(told) == ["error"] and re.fullmatch(r"The picture .*\.", told["error"])
            assert str(run.parent) not in told["error"] and " at 0x" not in told["error"]
    connection.close()
    assert statuses[422] > 0.4 * count and server.ask("GET", "/health")[0] == 200
    assert "error:" not in server.command.stderr


def test_a_corrected_picture_is_kept_with_its_label(server, run, pictures):
    """What a person corrects lies in the folder that --collect names, in the form of which every command learns."""
    for path, label in zip([*pictures, pictures[0]], ("0", "1", "2", *"01201"), strict=False):
        status, told, _ = server.ask("POST", f"/corrections?label={label}", path.read_bytes(), JPEG)
        assert status == 200 and told["labels"] == [label]
    assert server.ask("POST", "/corrections?label=2", pictures[0].read_bytes())[0] == 200  # the last word counts
    kept = run.parent / "kept"
    listing = listed(Corrected(kept / "pictures", kept / "corrections.csv"))
    digests = {hashlib.sha256((kept / "pictures" / file.path).read_bytes()).hexdigest(): file.label for file in listing.files}
    expected = dict(zip(pictures, ("0", "1", "2", *"01201"), strict=False)) | {pictures[0]: "2"}
    assert digests == {hashlib.sha256(path.read_bytes()).hexdigest(): label for path, label in expected.items()}
    assert "is being written by" in commands.refused("serve", run, "--port", "0", "--collect", kept)


def test_measures_are_those_of_prometheus(server):
    text = server.ask("GET", "/metrics")[1]["text"]
    assert re.search(r'^zoo_requests_total\{path="/metrics",status="200"\} ', server.ask("GET", "/metrics")[1]["text"], re.M)
    assert re.search(r"^zoo_waiting_pictures 0\.0$", text, re.M) and re.search(r"^zoo_waiting_limit 128\.0$", text, re.M)


def test_no_answer_names_a_folder(server, run):
    for path in ("/", "/models", "/health", "/metrics", "/openapi.json"):
        status, told, _ = server.ask("GET", path)
        assert status == 200 and "ada lovelace" not in json.dumps(told) and str(run.parent) not in json.dumps(told)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["asked to end", "killed"])
def test_ended_while_answering(run, pictures, number):
    """Asked to end, it answers what it has taken; killed, nothing in the run's folder has changed."""
    before, running, found = contents(run), Server("serve", run), []
    data = pictures[0].read_bytes()

    def ask() -> None:
        try:
            found.append(running.ask("POST", "/predict?explain=true", data, JPEG)[0])
        except OSError:
            found.append(None)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + SECONDS
    while "zoo_waiting_pictures 0.0" in running.ask("GET", "/metrics")[1]["text"] and not found:
        assert time.monotonic() < end
    time.sleep(1)  # all twelve have been sent, on a busy machine as well
    os.kill(running.command.pid, number)
    for thread in threads:
        thread.join()
    status = running.command.wait()
    if number == signal.SIGTERM:
        assert found == [200] * 12 and status == 0 and "what had been taken was answered" in running.command.stdout
    else:
        assert status == -signal.SIGKILL
    assert contents(run) == before


def test_others_need_the_token(run, pictures):
    running = Server("serve", run, "--host", "0.0.0.0", ZOO_TOKEN=TOKEN)
    assert TOKEN not in running.command.stdout + running.command.stderr
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
        assert running.ask("GET", "/models", None, headers)[0] == 401
        assert running.ask("POST", "/predict", pictures[0].read_bytes(), headers)[0] == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert running.ask("POST", "/predict", pictures[0].read_bytes(), right)[0] == 200
    assert {running.ask("GET", path)[0] for path in ("/", "/health")} == {200}
    assert running.ask("POST", "/corrections?label=0", b"x", right)[0] == 404, "nothing is kept unless it was asked for"
    running.command.signal(signal.SIGINT)
    assert running.command.wait() == 0


CORRECT = """(() => {
    const [select, button] = document.querySelectorAll(".correct select, .correct button");
    select.value = "1";
    select.dispatchEvent(new Event("change"));
    button.click();
})()"""


def test_an_empty_token_is_none_and_the_one_that_is_made_is_said(run):
    running = Server("serve", run, "--host", "0.0.0.0", ZOO_TOKEN="")
    place = urlsplit(running.address)
    assert (
        place.hostname == "127.0.0.1"
        and len(place.fragment) >= 32
        and f"the token is {place.fragment}." in running.command.stdout
    )
    assert running.ask("GET", "/models", None, {"Authorization": f"Bearer {place.fragment}"})[0] == 200
    running.command.signal(signal.SIGTERM)
    assert running.command.wait() == 0


SHOWN = """[...document.querySelectorAll("article")].map((one) => [one.querySelector("h2").textContent,
    [...one.querySelectorAll("tbody tr")].map((row) => [row.cells[0].textContent, row.cells[1].textContent])])"""


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["light", "dark on a telephone"])
def test_the_page_says_what_predict_does(server, pictures, predicted, width, dark):
    if (path := browser.program()) is None:
        pytest.skip("no Chromium here: install Debian's chromium, or set ZOO_TEST_CHROMIUM")
    with browser.started(path) as chromium:
        tab = chromium.open(server.address, width, dark=dark)
        answered(tab, pictures)
        for name, rows in tab.evaluate(SHOWN):
            said = predicted[name]["probabilities"]
            assert [row[0] for row in rows] == sorted(said, key=said.get, reverse=True)
            assert {row[0]: float(row[1]) for row in rows} == pytest.approx(said, abs=6e-5)
        tab.evaluate(CORRECT)
        until(tab, '/^Kept, with its label: 1/.test(document.querySelector(".correct [role=status]").textContent)')
        assert tab.evaluate("document.documentElement.scrollWidth") <= width and tab.complaints == []
        if os.environ.get("ZOO_TEST_AXE"):
            tab.evaluate(Path(os.environ["ZOO_TEST_AXE"]).read_text("utf-8") + "; 0")
            assert tab.evaluate("axe.run().then((all) => all.violations.map((one) => [one.id, one.nodes[0].html]))") == []


def test_settings_that_cannot_be_are_refused(run):
    for wrong in ({"port": 70_000}, {"queue": 0}, {"max_megabytes": 0.0}, {"timeout": -1.0}, {"max_pixels": 10**9}):
        with pytest.raises(UserError, match=next(iter(wrong)).replace("_", "-")):
            Serving((run,), **wrong)
    assert [Serving((run,), host=host).is_local for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1")] == [
        *(True,) * 3,
        *(False,) * 2,
    ]
    assert "is no finished run" in commands.refused("serve", run.parent, "--port", "0")
    assert "at least 16" in commands.refused("serve", run, "--port", "0", ZOO_TOKEN="short")
