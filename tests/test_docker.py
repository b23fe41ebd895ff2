"""The Dockerfile, read by hand: who runs what, from which files; there is no Docker where the tests run."""

import configparser
import fnmatch
import json
import re
import shlex

import house
import pytest
from helpers import ROOT

KNOWN = set("FROM ENV WORKDIR COPY RUN USER EXPOSE HEALTHCHECK ENTRYPOINT CMD".split())
SECRET = re.compile(r"token|password|secret|api_?key", re.I)


def steps() -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined and comments left out."""
    lines = [line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def arguments(name: str) -> list[str]:
    return [rest for word, rest in steps() if word == name]


def ignored(path: str) -> bool:
    """Whether `.dockerignore` keeps a path out: the last pattern that matches it, or a folder that it lies in, decides."""
    out, parts = False, path.split("/")
    places = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            name = pattern.lstrip("!")
            found = any(
                fnmatch.fnmatchcase(one, name) or fnmatch.fnmatchcase(f"/{one}", name.replace("**", "*")) for one in places
            )
            out = not pattern.startswith("!") if found else out
    return out


def test_every_step_is_one_that_is_known():
    words = [word for word, _ in steps()]
    assert set(words) <= KNOWN and words[0] == "FROM" and words.count("FROM") == 1, "no ADD, no ARG, no second stage"
    assert all(words.count(one) == 1 for one in ("ENTRYPOINT", "CMD", "USER", "HEALTHCHECK"))


def test_the_base_is_pinned_to_a_python_that_the_project_takes():
    (base,) = arguments("FROM")
    name, _, tag = base.partition(":")
    version = re.match(r"(3\.\d+)-slim$", tag)
    assert name == "python" and version, "a tag that is no `latest`"
    assert f"Python :: {version[1]}" in (ROOT / "setup.cfg").read_text("utf-8")


def test_it_runs_as_nobody_in_particular():
    words = [word for word, _ in steps()]
    (user,) = arguments("USER")
    assert all(part.isdigit() and int(part) >= 1000 for part in user.split(":")), "a number: root has none of these"
    last = len(words) - 1 - words[::-1].index("USER")
    assert not {"RUN", "COPY"} & set(words[last:]), "nothing is installed or written after root has left"
    assert f"--uid {user.partition(':')[0]} " in arguments("RUN")[-1]


def test_no_secret_and_no_cache_is_in_it():
    assert not [text for _, text in steps() if SECRET.search(text)]
    assert all("--no-cache-dir" in text for text in arguments("RUN") if "pip install" in text)


def test_signals_reach_the_server():
    for name in ("ENTRYPOINT", "CMD"):
        (text,) = arguments(name)
        assert all(isinstance(word, str) for word in json.loads(text)), "without a shell between"


def test_what_is_copied_is_there_and_is_all_that_is_installed():
    copied = [source for text in arguments("COPY") for source in shlex.split(text)[:-1]]
    assert all(((ROOT / source).exists() or (house.SOURCES / source).exists()) and not ignored(source) for source in copied)
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    packages = settings["options"]["packages"].split()
    assert {name.partition(".")[0] for name in packages} <= set(copied)
    assert {"README.md", "LICENSE", "setup.cfg", "pyproject.toml"} <= set(copied), "what building the package reads"


def test_nothing_else_is_sent_to_the_builder():
    sent = {path.name for path in ROOT.iterdir() if not ignored(path.name)}
    assert sent <= {"pyproject.toml", "setup.cfg", "README.md", "LICENSE", "callbacks", "zoo", "recipes"}
    assert all(map(ignored, ("runs/finetune/x/model.keras", ".git/config", ".env", "zoo/__pycache__/x.pyc", "photo.jpg")))
    assert not ignored("recipes/report/run.html") and not ignored("zoo/facts.json")


def test_the_command_is_one_that_the_project_has():
    settings = pytest.importorskip("recipes.settings.serve", reason="no `zoo serve` yet")
    words = json.loads(arguments("ENTRYPOINT")[0]) + json.loads(arguments("CMD")[0])
    assert words[:2] == ["zoo", "serve"] and words[words.index("--host") + 1] == "0.0.0.0"
    flags = {word[2:].replace("-", "_") for word in words if word.startswith("--")}
    assert flags <= set(settings.Serving.__dataclass_fields__)
    (port,) = arguments("EXPOSE")
    assert words[words.index("--port") + 1] == port and f":{port}/health" in arguments("HEALTHCHECK")[0]
    extras = configparser.ConfigParser()
    extras.read(ROOT / "setup.cfg")
    assert "serve" in extras["options.extras_require"] and any("[serve]" in text for text in arguments("RUN"))
