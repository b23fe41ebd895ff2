"""How many trials a second the storage of a search takes: asked for, kept alive and told, with nothing to train between.

    python benchmarks/search_store.py --output runs/search_store                  # SQLite
    python benchmarks/search_store.py --storage postgresql://USER:PASSWORD@HOST/DATABASE --output runs/search_store_server

A new study is filled by one worker and by four at once: the table shows what more workers and more trials cost.
Ten hyper-parameters; random search writes a trial when it begins and when it ends, TPE also notes 20 epochs of each and
reads those of all others. The table is in docs/scaling.md.
"""

import argparse
import multiprocessing
import time
import uuid
from pathlib import Path

import alembic.command  # noqa: F401  each worker needs it
import keras_tuner

from recipes.console import table
from recipes.search.loop import Trial, run_trials
from recipes.search.oracle import make_oracle
from recipes.search.study import open_study
from zoo.files import write_csv

EPOCHS = 20
# (tuner, workers, trials that there are then)
STEPS = [("random", 1, 60), ("random", 4, 160), ("random", 1, 260), ("tpe", 1, 5)]


def space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    for i in range(10):
        hp.Float(f"number{i}", 1e-4, 1.0, sampling="log")
    return hp


def work(trial: Trial) -> dict:
    for epoch in range(1, EPOCHS + 1):
        trial.report(epoch, 1 / epoch)
    return {"loss": trial.hyperparameters.values["number0"]}


def worker(storage: str | Path, name: str, tuner: str, trials: int, start, used) -> None:
    study = open_study(storage, name, {})
    tuned = make_oracle(tuner, study, space(), trials, 0, EPOCHS)
    start.wait()
    began = time.process_time()
    run_trials(tuned, work)
    used.put(time.process_time() - began)


def measure(storage: str | Path, name: str, tuner: str, workers: int, trials: int) -> tuple[float, float]:
    """Seconds until the study has so many trials, and those of the workers' processors."""
    start, used = multiprocessing.Barrier(workers + 1), multiprocessing.Queue()
    arguments = (storage, name, tuner, trials, start, used)
    processes = [multiprocessing.Process(target=worker, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    start.wait()
    began = time.monotonic()
    spent = sum(used.get() for _ in processes)
    return time.monotonic() - began, spent


def beats(storage: str | Path, count: int = 200) -> float:
    """Signs of life a second, of one worker."""
    study = open_study(storage, f"beats {uuid.uuid4().hex}", {})
    with study.lock():
        row = study.add({}, 0, {}, {})
    began = time.monotonic()
    for _ in range(count):
        study.beat(row)
    return count / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--storage", help="postgresql://...; a SQLite file in --output if not given")
    parser.add_argument("--output", type=Path, default=Path("runs/search_store"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    storage = arguments.storage or arguments.output / f"{name}.db"
    rows, there = [], dict.fromkeys(("random", "tpe"), 0)
    for tuner, workers, trials in STEPS:
        count = trials - there[tuner]
        seconds, used = measure(storage, f"{tuner} {name}", tuner, workers, trials)
        rows.append(
            {
                "tuner": tuner,
                "workers": workers,
                "trials before": there[tuner],
                "trials": count,
                "trials/s": count / seconds,
                "processor ms a trial": 1000 * used / count,
            }
        )
        there[tuner] = trials
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    write_csv(arguments.output / "table.csv", rows)
    print(f"\n{table(rows)}\n\nsigns of life: {beats(storage):.0f}/s by one worker")


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")  # what is imported is imported once
    main()
