"""Searches whose workers are killed: real processes, on SQLite and on a PostgreSQL server.

What was run is known from a log that the workers write and no part of the search reads; what should come out, from a search
that nobody disturbs, and from a sum.
"""

import importlib.util
import json
import multiprocessing.forkserver
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers import ROOT

from recipes.errors import UserError
from recipes.search.folder import hold_folder
from recipes.search.records import TrialRecord
from recipes.search.study import MAX_DEATHS, open_study

pytestmark = pytest.mark.slow
HERE = ROOT / "tests"


def work(*arguments, **options):
    import search_worker  # and with it Keras: in the workers alone

    search_worker.run(*arguments, **options)


def hold(folder: Path, held) -> None:
    with hold_folder(folder):
        held.set()
        time.sleep(600)


class Search:
    """A study and the processes that work on it."""

    def __init__(self, context, storage, log: Path):
        self._context, self.storage, self._log, self._workers = context, storage, log, []

    def start(self, trials=8, **options):
        worker = self._context.Process(target=work, args=(self.storage, self._log, trials), kwargs=options)
        worker.start()
        self._workers.append(worker)
        return worker

    def log(self, what="begin") -> list[tuple]:
        """(trial, process, seed, values) of each beginning, or end, in its order."""
        lines = map(json.loads, self._log.read_text().splitlines() if self._log.exists() else [])
        return [tuple(line) for kind, *line in lines if kind == what]

    def until(self, worker, begun: int) -> None:
        """Wait until this worker has begun so many trials."""
        limit = time.monotonic() + 300
        while sum(process == worker.pid for _, process, *_ in self.log()) < begun:
            assert time.monotonic() < limit and worker.is_alive(), self.log()
            time.sleep(0.01)

    def go_on(self, worker) -> None:
        """With the trial that it hangs in."""
        Path(f"{self._log}.{worker.pid}").touch()

    def kill(self, worker) -> None:
        worker.kill()
        worker.join()

    def finish(self, *workers) -> list[TrialRecord]:
        """Wait for these workers' good ends; all trials."""
        for worker in workers:
            worker.join(300)
            assert worker.exitcode == 0
        return open_study(self.storage, "numbers", {}).records()

    def end(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.join()


@pytest.fixture(scope="module")
def context():
    """Workers are forked from one process that has imported once. Any backend of Keras will do: none of it is used."""
    changed = {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"}
    if importlib.util.find_spec("jax"):  # Keras' NumPy backend imports it
        changed["KERAS_BACKEND"] = "numpy"
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["search_worker", "test_search_faults"])
    multiprocessing.forkserver.ensure_running()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    return context


@pytest.fixture(params=["sqlite", "postgresql"])
def search(request, context, tmp_path):
    storage = tmp_path / "trials.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    made = Search(context, storage, tmp_path / "log")
    yield made
    made.end()


@pytest.fixture
def local(context, tmp_path):
    """For what does not depend on the kind of storage."""
    made = Search(context, tmp_path / "trials.db", tmp_path / "log")
    yield made
    made.end()


@pytest.fixture(scope="module")
def undisturbed(context, tmp_path_factory) -> list[dict]:
    """The hyper-parameters of 40 trials by KerasTuner's own oracle, in a process that knows nothing of the store."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = context.Process(target=by_kerastuner, args=(folder, 40))
    process.start()
    process.join(300)
    return json.loads((folder / "values.json").read_text())


def by_kerastuner(*arguments) -> None:
    import search_worker

    search_worker.by_kerastuner(*arguments)


def right(trials, undisturbed, count=8) -> bool:
    """None is lost, none is there twice, and each has the hyper-parameters that it should have, and their score."""
    for trial in trials:
        assert trial.loss == pytest.approx(trial.values["units"] / 1000 + trial.values["rate"], rel=1e-12)
    assert [trial.state for trial in trials] == ["done"] * count
    return [trial.values for trial in trials] == undisturbed[:count]


def test_two_workers_share_forty_trials(search, undisturbed):
    trials = search.finish(search.start(40), search.start(40))
    assert right(trials, undisturbed, 40) and [t.number for t in trials] == list(range(40))
    assert Counter(trial for trial, *_ in search.log()) == Counter(range(40))
    assert min(Counter(process for _, process, *_ in search.log()).values()) > 5
    assert {t.pid for t in trials} == {process for _, process, *_ in search.log()} and {t.runs for t in trials} == {1}


def test_one_is_killed_in_mid_trial(search, undisturbed):
    dying, other = search.start(hangs_in=3), search.start(sleep=0.05)
    search.until(dying, 3)
    search.kill(dying)
    trials = search.finish(other)
    assert right(trials, undisturbed)
    again = [line for line in search.log() if trials[line[0]].runs == 2]
    assert len(again) == 2 and [line[1] for line in again] == [dying.pid, other.pid]
    assert again[0][0] == again[1][0] and again[0][2:] == again[1][2:]  # the same seed, the same hyper-parameters
    assert Counter(trial for trial, *_ in search.log()) == Counter([*range(8), again[0][0]])
    assert sum(t.deaths for t in trials) == 1


def test_all_are_killed_and_one_is_started(search, undisturbed):
    dying = [search.start(hangs_in=n) for n in (2, 4)]
    for worker, begun in zip(dying, (2, 4), strict=True):
        search.until(worker, begun)
    for worker in dying:
        search.kill(worker)
    done = {trial for trial, *_ in search.log("end")}
    assert len(done) == 4
    last = search.start()
    assert right(search.finish(last), undisturbed)
    assert {trial for trial, process, *_ in search.log() if process == last.pid} == set(range(8)) - done


def test_kills_between_any_two_steps_of_a_trial(search, undisturbed):
    """One worker after another dies in its second trial: after the row's creation, its worker's name, the first sign of life,
    the start, the result, the end.
    """
    note, state = "set_trial_user_attr", "set_trial_state_values"
    for method, word in [
        ("create_new_trial", ""),
        (note, "'run'"),
        ("record_heartbeat", ""),
        (state, "RUNNING"),
        (note, "'outcome'"),
        (state, "COMPLETE"),
    ]:
        worker = search.start(sleep=0, dies=(method, word))
        worker.join(300)
        assert worker.exitcode == -signal.SIGKILL, (method, word)
    trials = search.finish(search.start(sleep=0))
    assert right(trials, undisturbed)
    assert max(t.deaths for t in trials) < MAX_DEATHS


def test_many_start_at_once_on_a_fresh_store(search, undisturbed):
    trials = search.finish(*[search.start(at=time.time() + 1) for _ in range(5)])
    assert right(trials, undisturbed) and Counter(trial for trial, *_ in search.log()) == Counter(range(8))


def test_signs_of_life_decide_over_workers_of_another_machine(search, undisturbed):
    """One is killed; one stands still and comes back too late; one is slow but alive, and keeps its trial."""
    killed, still, slow = workers = [search.start(6, hangs_in=1, machine=name) for name in "abc"]
    for worker in workers:
        search.until(worker, 1)
    search.kill(killed)
    os.kill(still.pid, signal.SIGSTOP)
    (lost,), (late,), (kept,) = ([trial for trial, process, *_ in search.log() if process == w.pid] for w in workers)
    other = search.start(6, machine="d")
    while not {lost, late} <= {trial for trial, process, *_ in search.log("end") if process == other.pid}:
        time.sleep(0.05)
    search.go_on(slow)
    trials = search.finish(other, slow)
    search.go_on(still)
    os.kill(still.pid, signal.SIGCONT)
    assert trials == search.finish(still) and right(trials, undisturbed, 6)
    assert Counter(trial for trial, *_ in search.log()) == Counter([*range(6), lost, late])
    assert [t.deaths for t in trials] == [int(n in (lost, late)) for n in range(6)]
    assert trials[kept].pid == slow.pid and {trials[lost].pid, trials[late].pid} == {other.pid}


def test_a_worker_that_is_asked_to_stop_gives_its_trial_back(local, undisturbed):
    for number in (signal.SIGTERM, signal.SIGINT):
        worker = local.start(hangs_in=2)
        local.until(worker, 2)
        os.kill(worker.pid, number)
        worker.join(300)
        assert worker.exitcode == 1  # by KeyboardInterrupt, which the command line turns into a sentence
    trials = local.finish(local.start())
    assert right(trials, undisturbed) and [t.deaths for t in trials] == [0] * 8


def test_a_trial_that_kills_its_workers_is_given_up(local):
    for _ in range(MAX_DEATHS):
        worker = local.start(3, hangs_in=1)
        local.until(worker, 1)
        local.kill(worker)
    first, *others = local.finish(local.start(3))
    assert (first.state, first.message) == (
        "failed",
        f"3 workers died in it, the last one process {worker.pid} on {first.host}",
    )
    assert [t.state for t in others] == ["done", "done"]


def test_the_grid_is_enumerated_once_by_three_workers_of_whom_one_dies(local):
    dying, *others = [local.start(100, tuner="grid", sleep=0.03, hangs_in=n) for n in (1, 0)]
    local.until(dying, 1)
    local.kill(dying)
    trials = local.finish(*others, local.start(100, tuner="grid"))
    combinations = [(1, 0.1), (1, 0.2), (2, 0.1), (2, 0.2), (3, 0.1, "a"), (3, 0.1, "b"), (3, 0.2, "a"), (3, 0.2, "b")]
    assert sorted(tuple(t.values.values()) for t in trials) == combinations
    assert Counter(trial for trial, *_ in local.log("end")) == Counter(range(8))


def test_a_second_search_in_a_folder_is_refused_with_the_owner_named(context, tmp_path):
    held = context.Event()
    owner = context.Process(target=hold, args=(tmp_path, held))
    owner.start()
    assert held.wait(300)
    with pytest.raises(UserError, match=f"is being searched by process {owner.pid} on .*: wait for it, stop it"):
        with hold_folder(tmp_path):
            pass
    owner.kill()
    owner.join()
    with hold_folder(tmp_path):  # a killed owner holds nothing
        pass
