"""`zoo features`: what the run that follows needs, here and on a cluster, where an actor is killed."""

import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from unittest.mock import MagicMock

import commands
import pytest
from helpers import few_digits

from recipes.compute.cluster import Cluster
from recipes.compute.engines import Engine
from recipes.errors import UserError
from recipes.settings.features import Features

# Parts of 32 pictures, and LeNet's own weights.
FLAGS = ("--model", "lenet5", "--batch-size", 4, "--engine", "keras")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """90 pictures or so, in parts of 32."""
    return few_digits(tmp_path_factory.mktemp("digits"), 45)


def files(cache: Path) -> dict[str, bytes]:
    """All that lies in a cache, but for what is known of files by their times."""
    paths = (path for path in cache.rglob("*") if path.is_file() and "contents" not in path.parts)
    return {str(path.relative_to(cache)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def here(digits, tmp_path_factory):
    """The cache of one machine, what the command said, and what it left."""
    cache = tmp_path_factory.mktemp("here")
    return cache, commands.zoo("features", digits, *FLAGS, ZOO_CACHE=str(cache)), files(cache)


@pytest.mark.slow
def test_the_run_that_follows_computes_no_feature(digits, here, tmp_path):
    cache, said, before = here
    assert said.poll() == 0 and re.search(r"in the cache; \d+ views were computed now", said.stdout)
    again = commands.zoo("features", digits, *FLAGS, ZOO_CACHE=str(cache))
    assert "all of it was there already" in again.stdout
    (step,) = commands.said_next(again.stdout)
    run = commands.zoo(*step, "--strategy", "small", "--output", tmp_path / "run", ZOO_CACHE=str(cache))
    assert run.poll() == 0 and "lenet5 up to" not in run.stderr  # no line of progress of a pass
    after = files(cache)
    assert {name for name in after if name.startswith("features")} == {name for name in before if name.startswith("features")}


def family(pid: int) -> dict[int, str]:
    """The processes that a process has started, and those that these have, with their command lines."""
    found, parents = {}, {pid}
    lines = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(path.name)] = parent, (path / "cmdline").read_text().replace("\0", " ")
    while parents:
        children = {pid: line for pid, (parent, line) in lines.items() if parent in parents}
        found, parents = found | children, set(children)
    return found


def lives(pid: int) -> bool:
    """Whether a process runs yet; one that nobody has waited for does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.fault(
    "Runs",
    "an actor of a cluster is killed while it computes features",
    "Ray begins another, which computes what that one was at; the cache is that of one machine, byte for byte",
    "A cluster's machines come and go, and whoever trains on its features must not notice.",
)
def test_a_cluster_with_a_killed_actor_keeps_what_one_machine_keeps(digits, here, tmp_path):
    pytest.importorskip("ray")
    cache = tmp_path / "cluster"
    run = commands.start("features", digits, *FLAGS, "--ray", "local", "--actors", 2, is_fresh=True, ZOO_CACHE=str(cache))

    def at_work() -> list[int]:
        return [pid for pid, line in family(run.pid).items() if "_Holder" in line and ".submit" in line]

    # One is enough: whichever begins first imports Keras before it computes, and may be done before the other has begun.
    run.wait_until(lambda _: at_work())
    os.kill(at_work()[0], signal.SIGKILL)
    others = family(run.pid)
    assert run.wait(300) == 0, run.stderr
    assert files(cache) == here[2]
    assert "Traceback" not in run.stderr and not re.search(r"(?i)\bray\b|warning|dashboard", run.stderr + run.stdout)
    end = time.monotonic() + 30
    while left := [line for pid, line in others.items() if lives(pid)]:  # Ray's processes take a moment to end
        assert time.monotonic() < end, left
        time.sleep(0.1)


def test_no_actor_is_begun_for_which_there_is_no_part(monkeypatch):
    """Ray would warn of it, on the screen; the actor would import Keras and build the network in vain."""
    ray = MagicMock()
    monkeypatch.setitem(sys.modules, "ray", ray)
    list(Cluster(actors=4, has_gpus=False).map("network", Engine("keras", 4, list), len, ["a", "b"]))
    ray.data.ActorPoolStrategy.assert_called_once_with(size=2)


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(UserError, match="--actors are a cluster's: give --ray as well"):
        Features(tmp_path, actors=2)
    with pytest.raises(UserError, match="--ray must be HOST:PORT or auto, .* found 'ray://host:10001'"):
        Features(tmp_path, ray="ray://host:10001")
    with pytest.raises(UserError, match="nothing to keep of a random start"):
        Features(tmp_path, weights="none")
