"""What is installed is enough: the commands on a folder of photographs, in processes without any network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import commands
import pytest

# A network namespace of the process's own and of those that it starts, in which nothing is connected.
OFFLINE = f"""
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare({0x40000000 if os.geteuid() == 0 else 0x50000000}):
    raise SystemExit(f"no network namespace: {{os.strerror(ctypes.get_errno())}}")
assert [name for _, name in socket.if_nameindex()] == ["lo"]
"""
PICTURES = 10  # of each class


@pytest.fixture(scope="module")
def photos(shared, tmp_path_factory) -> Path:
    """Some of the ants and bees."""
    folder = tmp_path_factory.mktemp("photos")
    for label in ("ants", "bees"):
        (folder / label).mkdir()
        for path in sorted((shared / "data" / "hymenoptera" / "val" / label).iterdir())[:PICTURES]:
            shutil.copy(path, folder / label)
    return folder


@pytest.fixture
def offline(tmp_path):
    """Runs `zoo WORDS` without a network and with an empty cache; skipped where the system grants no namespace."""
    probe = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(probe.stderr.strip())

    def run(*words) -> commands.Command:
        command = commands.zoo(*words, setup=OFFLINE, cwd=tmp_path, ZOO_CACHE=str(tmp_path / "cache"))
        assert command.poll() == 0, command.stderr
        return command

    return run


@pytest.mark.slow
@pytest.mark.fault(
    "Weights",
    "a machine that reaches no network once the project is installed: `zoo finetune`, `zoo rank` and `zoo tune` on photographs",
    "All three end with a report: the weights of the default --model were installed with the project",
    "The default's weights were on a server: cannot be fetched.",
)
def test_photographs_without_a_network(photos, offline, tmp_path):
    offline("finetune", photos, "--strategy", "small", "--output", "run")  # the strategy left open: tests/test_readme.py
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["classes"] == ["ants", "bees"] and (tmp_path / "run" / "report.html").stat().st_size
    offline("rank", photos, "--models", "efficientnet_lite[01]", "--output", "rank")  # all that is here: test_rank.py
    rows = json.loads((tmp_path / "rank" / "result.json").read_text())["table"]
    assert result["model"]["name"] in [row["candidate"].split()[0] for row in rows if row["accuracy"] is not None]
    offline("tune", photos, "--trials", "2", "--output", "tune")
    counts = json.loads((tmp_path / "tune" / "result.json").read_text())["counts"]
    assert counts["done"] == 2 and (tmp_path / "tune" / "report.html").stat().st_size
    assert (tmp_path / "tune" / "best" / "report.html").stat().st_size


@pytest.mark.slow
def test_what_no_package_brings_is_refused_there(photos, offline, tmp_path):
    said = commands.refused("finetune", photos, "--model", "resnet50", setup=OFFLINE, ZOO_CACHE=str(tmp_path), cwd=tmp_path)
    assert "resnet50 weights 'imagenet'" in said and "efficientnet_lite0" in said
