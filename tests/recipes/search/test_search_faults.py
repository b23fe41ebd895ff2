"""Searches whose workers are killed: real processes, on SQLite and on a PostgreSQL server.

What was run is known from a log that the workers write and no part of the search reads; what should come out, from a search
that nobody disturbs, and from a sum.
"""

import importlib.util
import json
import multiprocessing.forkserver
import os
import signal
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from helpers import ROOT

from recipes.errors import UserError
from recipes.search.folder import hold_folder
from recipes.search.optuna_private import trial_id
from recipes.search.records import TrialRecord
from recipes.search.study import MAX_DEATHS, SUSPECT_DEATHS, open_study
from zoo.files import machine_id, start_time

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

    def stop(self, worker) -> None:
        """Have it stand still, as one does whose machine hangs."""
        os.kill(worker.pid, signal.SIGSTOP)
        self.until_stopped(worker)

    def until_stopped(self, worker) -> None:
        """Wait until it stands still."""
        limit = time.monotonic() + 300
        while Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < limit and worker.is_alive(), self.log()
            time.sleep(0.01)

    def wake(self, worker) -> None:
        """Have one that stands still go on."""
        os.kill(worker.pid, signal.SIGCONT)

    def said(self, worker) -> str:
        """What a worker has said."""
        return Path(f"{self._log}.{worker.pid}.out").read_text()

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


@pytest.fixture
def remote(context, postgres, tmp_path):
    """For what is a server's alone."""
    made = Search(context, postgres, tmp_path / "log")
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


def until(condition) -> None:
    """Wait until a condition holds."""
    limit = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


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
    dying = search.start(hangs_in=3)
    search.until(dying, 3)  # before there is another, which on a busy machine might do all trials meanwhile
    other = search.start(sleep=0.05)
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
    search.stop(still)
    (lost,), (late,), (kept,) = ([trial for trial, process, *_ in search.log() if process == w.pid] for w in workers)
    other = search.start(6, machine="d")
    while not {lost, late} <= {trial for trial, process, *_ in search.log("end") if process == other.pid}:
        time.sleep(0.05)
    search.go_on(slow)
    trials = search.finish(other, slow)
    search.go_on(still)
    search.wake(still)
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


@pytest.mark.fault(
    "Search",
    "a worker of this machine hangs, or is stopped, and comes back",
    "its trial is run by another worker after a minute without a sign of life; what it finds later does not count",
    "that its process exists says nothing of whether it works",
)
def test_a_worker_that_stands_still_is_replaced_and_its_result_refused(search, undisturbed):
    still = search.start(4, hangs_in=2)
    search.until(still, 2)
    lost = search.log()[-1][0]
    search.stop(still)
    trials = search.finish(search.start(4))
    assert right(trials, undisturbed, 4) and [t.deaths for t in trials] == [int(n == lost) for n in range(4)]
    search.go_on(still)
    search.wake(still)
    assert search.finish(still) == trials
    assert f"Trial {lost} was given to another worker" in search.said(still)
    assert Counter(trial for trial, *_ in search.log("end")) == Counter([*range(4), lost])


@pytest.mark.fault(
    "Search",
    "a trial's workers are killed five times, as on machines that are taken away",
    "the trial is put last, and is run again with the same hyper-parameters and seed",
    "a killed worker tells nothing about its trial",
)
def test_kills_from_outside_do_not_fail_a_trial(local, undisturbed):
    for _ in range(SUSPECT_DEATHS + 2):
        worker = local.start(1, hangs_in=1)
        local.until(worker, 1)
        local.kill(worker)
    last = local.start(4)
    trials = local.finish(last)
    assert right(trials, undisturbed, 4) and [t.deaths for t in trials] == [SUSPECT_DEATHS + 2, 0, 0, 0]
    assert [trial for trial, process, *_ in local.log() if process == last.pid] == [1, 2, 3, 0]


@pytest.mark.fault(
    "Search",
    "a trial kills each of its workers",
    "the others are run before it, and after 20 deaths it is marked failed, with the last worker's name",
    "a search must come to its end",
)
def test_a_trial_that_kills_its_workers_is_given_up(tmp_path):
    study = open_study(tmp_path / "trials.db", "numbers", {})
    row = study.add({}, 0, {}, {})
    with subprocess.Popen(["sleep", "600"]) as process:
        dead = {"pid": process.pid, "began": start_time(process.pid), "machine": machine_id(), "host": "h", "count": 1}
        process.kill()
    for deaths, state in ((MAX_DEATHS - 2, "running"), (MAX_DEATHS - 1, "failed")):
        study.tables.set_trial_user_attr(trial_id(row), "run", dead | {"deaths": deaths})
        with study.lock():
            assert study.take_over(study.look()[1], SUSPECT_DEATHS) is None
            assert (study.take_over(study.look()[1], MAX_DEATHS) is None) == (state == "failed")
        assert study.records()[0].state == state
    assert study.records()[0].message == f"{MAX_DEATHS} workers died in it, the last one process {process.pid} on h"


@pytest.mark.fault(
    "Search",
    "PostgreSQL: a worker is stopped while it holds the lock of the study, and goes on later",
    "the server takes the lock from it within a minute, and undoes what it had begun; the others go on, later it does, too",
    "who stands still must not stop all others",
)
@pytest.mark.parametrize(
    "moment", [("create_new_trial", ""), ("set_trial_state_values", "RUNNING"), ("set_trial_state_values", "COMPLETE")]
)
def test_a_worker_that_stands_still_under_the_lock_loses_it(remote, undisturbed, moment):
    still = remote.start(4, stops=moment)
    remote.until_stopped(still)
    trials = remote.finish(remote.start(4))
    assert right(trials, undisturbed, 4)
    remote.wake(still)
    assert remote.finish(still) == trials and [t.number for t in trials] == list(range(4))
    assert "cannot be used now" in remote.said(still) or "given to another" in remote.said(still)
    ends = Counter(trial for trial, *_ in remote.log("end"))
    assert ends == Counter([*range(4), 1] if moment[1] == "COMPLETE" else range(4))


@pytest.mark.fault(
    "Search",
    "PostgreSQL: the database, its role and the workers' machines have different time zones",
    "a living worker keeps its trial, a dead one's is run again, and every time that is noted is UTC",
    "signs of life are compared with themselves alone",
)
@pytest.mark.parametrize(
    "zones",
    [
        ("Asia/Tokyo", "America/Los_Angeles"),
        pytest.param(("America/Los_Angeles", "Asia/Tokyo"), marks=pytest.mark.deep),
    ],
)
def test_signs_of_life_know_no_time_zone(remote, undisturbed, zones):
    url = sqlalchemy.make_url(remote.storage)
    engine = sqlalchemy.create_engine(url.set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"alter database {url.database} set timezone = '{zones[0]}'"))
        living = remote.start(3, hangs_in=1, machine="a", zone=zones[0])
        remote.until(living, 1)
        connection.execute(sqlalchemy.text(f"alter role {url.username} in database {url.database} set timezone = '{zones[1]}'"))
        dead = remote.start(3, hangs_in=1, machine="b", zone=zones[1])
        remote.until(dead, 1)
        remote.kill(dead)
        other = remote.start(3, machine="c", zone="UTC")
        until(lambda: {1, 2} <= {trial for trial, *_ in remote.log("end")})
        time.sleep(6)  # more than the grace
        beats = connection.execute(sqlalchemy.text("select heartbeat from trial_heartbeats")).scalars().all()
        assert abs((max(beats) - datetime.now(UTC).replace(tzinfo=None)).total_seconds()) < 10
    engine.dispose()
    remote.go_on(living)
    trials = remote.finish(living, other)
    assert right(trials, undisturbed, 3) and [t.deaths for t in trials] == [0, 1, 0] and trials[0].pid == living.pid
    assert all(abs((datetime.now(UTC) - t.began).total_seconds()) < 300 and 0 < t.seconds < 300 for t in trials)


@pytest.fixture
def own_server():
    """A PostgreSQL server that this test alone uses: its address, and a function that starts it anew."""
    if "ZOO_TEST_POSTGRES" not in os.environ:
        pytest.skip("no PostgreSQL server: set ZOO_TEST_POSTGRES")
    script = """
        . .ci/postgres; postgres_start || exit 1; echo "$ZOO_TEST_POSTGRES"
        while read -r mode; do
          (cd "$postgres_folder" && postgres_user "$(postgres_programs)/pg_ctl" -D data -m "$mode" -l log restart) >/dev/null &&
            echo restarted
        done
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(["bash", "-c", script], cwd=ROOT, text=True, **pipes) as process:
        address = process.stdout.readline().strip()
        if not address:
            pytest.skip("no PostgreSQL server can be started here")

        def restart(mode: str) -> None:
            print(mode, file=process.stdin, flush=True)
            assert process.stdout.readline() == "restarted\n"

        yield address, restart
        process.stdin.close()


@pytest.mark.fault(
    "Search",
    "PostgreSQL: the server starts anew while workers are just opening the study, and again while they work",
    "they wait, say so, and go on: no trial is lost, none is there twice",
    "a server is mended and moved while a search of days goes on",
)
def test_a_server_that_starts_anew_costs_no_worker(context, own_server, tmp_path, undisturbed):
    address, restart = own_server
    made = Search(context, address, tmp_path / "log")
    try:
        workers = [made.start(12, sleep=0.5, at=time.time() + 2) for _ in range(3)]
        until(lambda: any((tmp_path / f"log.{worker.pid}.out").exists() for worker in workers))  # they open the study
        for mode in ("immediate", "fast", "fast"):
            restart(mode)
            time.sleep(0.3)
        until(lambda: made.log("end"))
        restart("fast")
        trials = made.finish(*workers)
    finally:
        made.end()
    assert right(trials, undisturbed, 12) and "cannot be used now" in "".join(map(made.said, workers))
    assert Counter(trial for trial, *_ in made.log("end")) == Counter(range(12))


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
