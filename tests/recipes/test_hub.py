"""`zoo push` and `zoo pull`, by the hub's own client, against a stand-in of its HTTP API on loopback."""

import json
import os
import re
import zipfile

import pytest
from hub_server import TOKEN, serving
from run_results import result_of

from recipes import cli
from recipes.errors import UserError
from recipes.runs import hub as hub_client
from recipes.runs.shared_files import scrubbed
from zoo.files import sha256

pytest.importorskip("huggingface_hub")
# Of the hub's client, which says "data" to its HTTP library for "content".
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
SENT = {"model.keras", "model.keras.sha256", "result.json", "README.md", "classes.json", "framing.json"}


@pytest.fixture
def run(tmp_path):
    """A folder as `zoo finetune` leaves it, in which the network is noise."""
    (folder := tmp_path / "run").mkdir()
    result = result_of(suspects=[{"path": "mrs_smith.jpg"}], findings=["mrs_smith.jpg is dark"], schema=2, recipe="finetune")
    result["model"] |= {"weights": "/Users/ada lovelace/w.h5"}
    result |= {"data": "/Users/ada lovelace/leaves", "command": "zoo finetune '/Users/ada lovelace/leaves' --seed 0"}
    (folder / "result.json").write_text(json.dumps(result))
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("model.weights.h5", os.urandom(150_000))
        archive.writestr("classes.json", json.dumps(result["classes"]))
        archive.writestr("framing.json", json.dumps(result["input"]))
    (folder / "model.keras.sha256").write_text(sha256(folder / "model.keras") + "\n")
    for name in ("files.csv", "history.csv", "recipe.json", "reference.npz", "report.html", "MODEL_CARD.md"):
        (folder / name).write_text("mrs_smith.jpg")
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        monkeypatch.chdir(tmp_path)
        # What the library reads once, when it is imported.
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
        template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("time.sleep", lambda _: None)
        yield server


def test_a_run_goes_there_and_comes_back(run, hub, tmp_path, capsys):
    assert cli.main(["push", str(run), "ada/leaves"]) == 0
    assert hub.repositories == {"ada/leaves"} and set(hub.files) == SENT
    assert hub.files["model.keras"] == (run / "model.keras").read_bytes() and hub.objects, "the large one went by LFS"
    small = b"".join(content for name, content in hub.files.items() if name != "model.keras").decode()
    assert not [word for word in ("mrs_smith", "lovelace", "/Users", "/home", str(tmp_path)) if word in small]
    assert json.loads(hub.files["framing.json"])["size"] == 224
    assert cli.main(["pull", "ada/leaves"]) == 0
    out = capsys.readouterr()
    assert TOKEN not in out.out + out.err
    pulled = tmp_path / "runs" / "pull" / "leaves"
    assert {path.name for path in pulled.iterdir()} == {"model.keras", "model.keras.sha256", "result.json", "MODEL_CARD.md"}
    assert (pulled / "model.keras").read_bytes() == (run / "model.keras").read_bytes()
    assert (pulled / "MODEL_CARD.md").read_bytes() == hub.files["README.md"]
    assert cli.main(["push", str(pulled), "ada/leaves"]) == 0, "what was pulled is a run"


def test_pictures_go_with_consent_alone_and_leave_with_the_next(run, hub):
    assert cli.main(["push", str(run), "ada/leaves", "--pictures"]) == 0
    assert set(hub.files) == SENT | {"report.html"}
    assert cli.main(["push", str(run), "ada/leaves"]) == 0
    assert set(hub.files) == SENT


def test_a_dry_run_asks_nobody(run, hub, monkeypatch, capsys):
    monkeypatch.delenv("HF_TOKEN")
    assert cli.main(["push", str(run), "ada/leaves", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in SENT) and "report.html" not in out and not hub.asked


def test_a_busy_hub_is_asked_again(run, hub):
    hub.dies = {"/preupload/": 1, "/lfs/": 1}
    assert cli.main(["push", str(run), "ada/leaves"]) == 0 and set(hub.files) == SENT
    hub.dies = {"cut model.keras": 1}
    assert cli.main(["pull", "ada/leaves", "--output", "there"]) == 0


@pytest.mark.fault(
    "Runs",
    "a model hub has no such model, refuses the token, or dies in the middle",
    "one sentence, status 2; the token is in none of them; nothing is left on the disk, and there the old commit stays",
    "a hub is another's machine",
)
@pytest.mark.parametrize("fault", ["token", "no token", "dies", "unknown", "nobody"])
def test_what_a_hub_refuses_is_a_sentence(run, hub, fault, monkeypatch, tmp_path, capsys):
    if fault == "token":
        monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    if fault == "no token":
        monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    if fault == "dies":
        hub.dies = {"/commit/": 99}
    if fault == "nobody":
        hub.shutdown()
        hub.server_close()
    arguments = ["pull", "ada/none"] if fault == "unknown" else ["push", str(run), "ada/leaves"]
    assert cli.main(arguments) == 2
    out = capsys.readouterr()
    assert not hub.files and TOKEN not in out.out + out.err and "hf_wrong" not in out.out + out.err
    said = {"token": "the token is wrong", "no token": "set HF_TOKEN", "unknown": "no such model"}
    said["nobody"] = "look at the network"
    assert said.get(fault, "does not work") in out.err and len(re.findall("zoo: ", out.err)) == 1
    assert not list(tmp_path.rglob("runs/pull/*"))


@pytest.mark.fault(
    "Runs",
    "what answers in place of a model hub answers otherwise: pages, or other JSON",
    "one sentence, status 2, without what the client raised",
    "a proxy, or a wrong HF_ENDPOINT, answers to anything",
)
@pytest.mark.parametrize("answer", ["<html>log in</html>", "[1]", '{"id": null, "siblings": [{"rfilename": null}]}'])
@pytest.mark.parametrize("command", ["push", "pull"])
def test_what_is_no_hub_is_said_to_be_none(run, hub, command, answer, monkeypatch, capsys):
    for method in ("do_GET", "do_POST"):
        monkeypatch.setattr(f"hub_server.Handler.{method}", lambda self: (self.body(), self.reply(body=answer.encode())))
    assert cli.main(["push", str(run), "ada/leaves"] if command == "push" else ["pull", "ada/leaves"]) == 2
    assert "is no model hub" in (err := capsys.readouterr().err) and err.count("\n") == 1


@pytest.mark.fault(
    "Runs",
    "what a model hub gives is changed, no run, too large, or has files whose names lead out of the folder",
    "one sentence, status 2; nothing is written; other files are not taken",
    "anybody may fill a model on a hub",
)
@pytest.mark.parametrize(
    "change, said",
    [
        (lambda hub: hub.files.update({"model.keras": hub.files["model.keras"][:-1] + b"x"}), "not what its digest says"),
        (lambda hub: hub.files.pop("model.keras.sha256"), "it has no model.keras.sha256"),
        (lambda hub: hub.files.update({"result.json": b"{}"}), "not of `zoo finetune`"),
        (lambda hub: hub.files.update({"result.json": b"[]"}), "no run that can be shared"),
        (lambda hub: hub.files.update({"../../evil.py": b"x"}), "leads out of the folder"),
        (lambda hub: hub.sizes.update({"model.keras": 9 << 30}), "larger than"),
        (lambda hub: hub.files.update({"README.md": b"x" * (5 << 20)}), "larger than"),
    ],
)
def test_what_is_no_run_is_not_taken(run, hub, change, said, tmp_path, capsys):
    assert cli.main(["push", str(run), "ada/leaves"]) == 0
    change(hub)
    capsys.readouterr()
    assert cli.main(["pull", "ada/leaves", "--output", "there"]) == 2
    assert said in (err := capsys.readouterr().err) and err.count("\n") == 1
    assert not (tmp_path / "there").exists() and not list(tmp_path.rglob("evil*"))


def test_other_files_are_not_taken(run, hub, tmp_path, capsys):
    assert cli.main(["push", str(run), "ada/leaves"]) == 0
    hub.files |= {"setup.py": b"import os", ".gitattributes": b""}
    assert cli.main(["pull", "ada/leaves", "--output", "there"]) == 0
    assert "Not taken, for they are no files of a run: setup.py." in capsys.readouterr().out
    assert not (tmp_path / "there" / "setup.py").exists()


def test_what_is_pulled_in_part_leaves_what_was_there(run, hub, capsys):
    assert cli.main(["push", str(run), "ada/leaves"]) == 0
    before = (run / "result.json").read_bytes()
    hub.dies = {"cut model.keras": 99}
    assert cli.main(["pull", "ada/leaves", "--output", str(run)]) == 2
    assert "Nothing was written" in capsys.readouterr().err and (run / "result.json").read_bytes() == before


def test_without_the_extra(monkeypatch):
    monkeypatch.setattr(hub_client.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install huggingface_hub"):
        hub_client.client()


@pytest.mark.parametrize("name", ["leaves", "a/b/c", "../x", "ada/.x", "a b/c", "ada/x..y", "https://hub/x"])
def test_names_that_are_none(name, run, capsys):
    assert cli.main(["push", str(run), name]) == 2 and "USER/NAME" in capsys.readouterr().err


def test_paths_of_other_machines_are_scrubbed():
    result = result_of(command=r"zoo finetune 'C:\Users\ada b\cats' --csv=/srv/ada/x.csv", data=r"C:\Users\ada b\cats")
    shared = scrubbed(result)
    assert shared["data"] == "cats" and shared["command"] == "zoo finetune '…/cats' --csv='…/x.csv'"
