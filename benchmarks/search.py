"""What a search over heads costs, beside the pass through the backbone and beside plain Keras and KerasTuner.

    python benchmarks/search.py ../shared --part heads                         # each part: less than 8 minutes, idle machine
    python benchmarks/search.py ../shared --part heads --folder hymenoptera
    python benchmarks/search.py ../shared --part accuracy                      # also kerastuner, memory, workers

- heads: one pass of the training pictures (one view each); then 50 random trials of up to 20 epochs by `zoo tune`'s storage,
  oracle and trainer; then some of the same heads by plain `compile` and `fit` on the same features; test accuracy, once.
- kerastuner: plain KerasTuner with pictures through the frozen network in every epoch: two trials of two epochs, extrapolated
  to as many trials of as many epochs as `heads` took.
- accuracy: plain KerasTuner's 50 trials, `fit` on the features, which are what the frozen network gives it in every epoch:
  the best validation accuracy beside that of `heads`.
- memory: the process after trial 10 and after trial 200.
- workers: 40 equal trials by one process held to one core, and by two, each held to its own.

MobileNetV2, the last three stages as cuts, 4 views; hymenoptera (244 pictures to train on), or CIFAR-10, 200 of each class,
resized. A quarter is held out to judge trials. Every result is appended to OUTPUT/result.json.
"""

import argparse
import dataclasses
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recipes.compute.versions import versions
from recipes.console import say
from recipes.search.study import open_study
from recipes.transfer.backbone import backbone, framing
from zoo.files import write_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
PARTS = ("heads", "kerastuner", "accuracy", "memory", "workers")
TRIALS, EPOCHS, TEST = 50, 20, 1_000


class Problem:
    """Features of the pictures, and who is trained on and who judges."""

    def __init__(self, settings):
        import numpy as np
        from strategies import folder

        import zoo
        from recipes.data.dataset import prepare
        from recipes.data.sources.folder import scan_folder
        from recipes.data.views import CENTER, VIEWS
        from recipes.lecture.comparison import stratified
        from recipes.settings.finetune import Recipe
        from recipes.transfer import features
        from recipes.transfer.features import vector_cut
        from recipes.transfer.strategies import probed

        name = {"cifar": "cifar-200"}.get(settings.folder, settings.folder)
        weights = str(settings.shared / "weights" / "mobilenet_v2_imagenet.h5")
        self.recipe = Recipe(folder(name, settings.shared, 0, False, settings.output / "data"), weights=weights)
        self.body = backbone(self.recipe)
        self.data = prepare(scan_folder(self.recipe.data), framing(self.body), 0.0, 0.0, 0)
        test = self.data.part("test")
        self.pictures = self.data.part("train")
        self.test = np.random.default_rng(0).permutation(test)[:TEST]
        stages, self.views = probed(zoo.stages(self.body)), VIEWS
        cuts = [vector_cut(self.body, stage) for stage in stages]
        both = np.concatenate([self.pictures, self.test])
        samples = [(i, view) for view in VIEWS for i in self.pictures] + [(i, CENTER) for i in self.test]
        model = zoo.new_head(self.body, len(self.data.classes))  # a network is cut before something
        rows = features.extract(model, cuts, self.data, samples, 32)
        # (views, pictures, features); of the test pictures there is one view, repeated
        count, self.features = len(self.pictures), {}
        for stage, cut in zip(stages, cuts, strict=True):
            found = rows[cut][np.arange(len(samples))]
            trained = found[: len(VIEWS) * count].reshape(len(VIEWS), count, -1)
            tested = np.broadcast_to(found[len(VIEWS) * count :], (len(VIEWS), len(self.test), found.shape[-1]))
            self.features[stage] = np.concatenate([trained, tested], axis=1)
        self.labels, self.classes = self.data.labels[both], len(self.data.classes)
        order = stratified(self.labels[:count], np.random.default_rng(0))
        self.held_out, self.train = np.sort(order[: count // 4]), np.sort(order[count // 4 :])
        self.whole, self.tested = np.arange(count), np.arange(count, len(both))

    def trainer(self):
        from recipes.transfer.head_trainer import HeadTrainer

        return HeadTrainer(self.features, self.labels, self.train, self.held_out, self.classes)

    def read(self, hp):
        """The head that the values stand for; or, of an empty `hp`, its declaration."""
        from recipes.search import space

        return space.declare_head(hp, list(self.features), self.views, EPOCHS)

    def one_pass(self) -> float:
        """Seconds for the training pictures through the network, one view each."""
        from recipes.compute import engines
        from recipes.data.views import CENTER
        from recipes.transfer import features
        from zoo.progress import Progress

        engine = engines.build(self.body, 32)
        samples = [(i, CENTER) for i in self.pictures]
        with Progress("warm", 32, "views") as progress:
            features.forward(engine, self.data, samples[:32], progress)
        start = time.monotonic()
        with Progress("one pass", len(samples), "views") as progress:
            features.forward(engine, self.data, samples, progress)
        return time.monotonic() - start


def search(problem: Problem, folder: Path, trials: int, seen=lambda trial: None) -> dict:
    """A search as `zoo tune` makes it: (seconds, and by trial its settings and result)."""
    import keras_tuner

    from recipes.search.loop import run_trials
    from recipes.search.oracle import make_oracle

    start, done = time.monotonic(), {}
    hp = keras_tuner.HyperParameters()
    problem.read(hp)
    study = open_study(folder / "trials.db", "benchmark", {})
    trainer = problem.trainer()

    def work(trial) -> dict:
        began, settings = time.monotonic(), problem.read(trial.hyperparameters)
        result = trainer.train(settings, trial.seed, trial.report)
        done[trial.number] = {
            "settings": settings,
            "seed": trial.seed,
            "loss": result.loss,
            "accuracy": result.accuracy,
            "epoch": result.epoch,
            "epochs": len(result.history),
            "seconds": time.monotonic() - began,
        }
        seen(trial.number + 1)
        return {"loss": result.loss, "accuracy": result.accuracy}

    run_trials(make_oracle("random", study, hp, trials, 0, EPOCHS), work)
    return {
        "seconds": time.monotonic() - start,
        "trials": done,
        "failed": sum(record.state != "done" for record in study.records()),
    }


def plain(settings, inputs, x, classes: int, steps: int):
    """The head as a user of Keras writes it, compiled: its input, what it sees, and whether this is standardised."""
    import keras

    from callbacks.learning_rate import warmup_cosine
    from callbacks.optimizers import get_optimizer

    penalty = keras.regularizers.L2(settings.l2)
    if settings.kind == "hidden":
        x = keras.layers.Dense(settings.units, "relu", kernel_regularizer=penalty)(x)
    x = keras.layers.Dropout(settings.dropout)(x)
    model = keras.Model(inputs, keras.layers.Dense(classes, "softmax", kernel_regularizer=penalty)(x))
    optimizer = get_optimizer(settings.optimizer, warmup_cosine(settings.learning_rate, settings.epochs * steps))
    model.compile(
        optimizer,
        keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing),
        metrics=["accuracy", keras.metrics.CategoricalCrossentropy(name="log_loss")],
    )
    return model


class OnFeatures:
    """Plain `compile` and `fit` on the features of a cut."""

    def __init__(self, problem: Problem):
        self.problem, trainer = problem, problem.trainer()
        self.arrays = {}
        for cut, views in problem.features.items():
            center, scale = trainer.standardization(cut)
            self.arrays[cut] = [(views[0][part] - center) / scale for part in (problem.train, problem.held_out)]

    def build(self, settings):
        import keras

        inputs = keras.Input(self.arrays[settings.cut][0].shape[1:])
        return plain(settings, inputs, inputs, self.problem.classes, self.steps())

    def steps(self) -> int:
        from recipes.transfer.head_trainer import BATCH_SIZE

        return -(-len(self.problem.train) // BATCH_SIZE)

    def fit(self, model, settings, epochs=None, **options):
        import keras
        import numpy as np

        from recipes.transfer.head_trainer import BATCH_SIZE

        problem, (x, held_out) = self.problem, self.arrays[settings.cut]
        truth, counts = np.eye(problem.classes), np.bincount(problem.labels[problem.train])
        balanced = {i: len(problem.train) / problem.classes / n for i, n in enumerate(counts)}
        stop = keras.callbacks.EarlyStopping("val_log_loss", mode="min", patience=settings.patience)
        callbacks = [*options.pop("callbacks", []), *([] if epochs else [stop])]
        return model.fit(
            x,
            truth[problem.labels[problem.train]],
            batch_size=BATCH_SIZE,
            epochs=epochs or settings.epochs,
            validation_data=(held_out, truth[problem.labels[problem.held_out]]),
            callbacks=callbacks,
            class_weight=balanced if settings.class_weights else None,
            **({"verbose": 0} | options),
        )


def heads(settings, problem: Problem) -> dict:
    import numpy as np

    from recipes.transfer.head_trainer import HeadTrainer

    passed = problem.one_pass()
    with tempfile.TemporaryDirectory() as folder:
        found = search(problem, Path(folder), TRIALS)
    trials = list(found["trials"].values())
    keras_way, ratios, chosen = OnFeatures(problem), [], trials[:: len(trials) // 6]
    for trial in chosen:
        start = time.monotonic()
        keras_way.fit(keras_way.build(trial["settings"]), trial["settings"], epochs=trial["epochs"])
        trial["plain"] = time.monotonic() - start
        ratios.append(trial["seconds"] / trial["plain"])
    best = min(trials, key=lambda trial: trial["loss"])
    winner = HeadTrainer(problem.features, problem.labels, problem.whole, problem.tested, problem.classes)
    final = winner.train(dataclasses.replace(best["settings"], patience=0), best["seed"], last=best["epoch"])
    return {
        "pictures": len(problem.pictures),
        "pass seconds": passed,
        "search seconds": found["seconds"],
        "search / pass": found["seconds"] / passed,
        "trials": len(trials),
        "failed": found["failed"],
        "epochs": sum(trial["epochs"] for trial in trials),
        "trial seconds": float(np.mean([t["seconds"] for t in trials])),
        "plain seconds": float(np.mean([t["plain"] for t in chosen])),
        "trial / plain": sum(t["seconds"] for t in chosen) / sum(t["plain"] for t in chosen),
        "trial / plain, each": [round(ratio, 3) for ratio in ratios],
        "best validation loss": best["loss"],
        "its accuracy": best["accuracy"],
        "best validation accuracy": max(trial["accuracy"] for trial in trials),
        "test accuracy": final.accuracy,
        "best": dataclasses.asdict(best["settings"]),
    }


def kerastuner(settings, problem: Problem) -> dict:
    """From pictures: the network is a part of the model, and frozen."""
    import keras
    import keras_tuner
    import numpy as np

    known = last(settings, "heads")
    size, seconds, measured = problem.data.framing.size, [], 2
    offset = (problem.data.framing.resize - size) // 2
    x = problem.data.pixels[problem.pictures][:, offset : offset + size, offset : offset + size]
    truth = np.eye(problem.classes)[problem.labels]
    problem.body.trainable = False

    class Images(keras_tuner.HyperModel):
        def build(self, hp):
            settings, inputs = problem.read(hp), keras.Input(x.shape[1:])
            seen = keras.Model(problem.body.input, problem.body.get_layer(settings.cut).output)(inputs, training=False)
            seen = keras.layers.GlobalAveragePooling2D()(seen) if len(seen.shape) == 4 else seen
            return plain(settings, inputs, keras.layers.BatchNormalization()(seen), problem.classes, 100)

        def fit(self, hp, model, **options):
            start = time.monotonic()
            found = model.fit(
                x[problem.train],
                truth[problem.train],
                batch_size=32,
                epochs=measured,
                validation_data=(x[problem.held_out], truth[problem.held_out]),
                **options,
            )
            seconds.append((time.monotonic() - start) / measured)
            return found

    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(Images(), keras_tuner.Objective("val_log_loss", "min"), 2, seed=1, directory=folder)
        tuner.search(verbose=0)
    whole = float(np.mean(seconds)) * known["epochs"]
    return {
        "measured trials": len(seconds),
        "seconds an epoch": seconds,
        "epochs of the 50 trials": known["epochs"],
        "extrapolated seconds": whole,
        "extrapolated / search": whole / known["search seconds"],
        "extrapolated / (search + pass)": whole / (known["search seconds"] + known["pass seconds"]),
    }


def accuracy(settings, problem: Problem) -> dict:
    import keras_tuner

    keras_way = OnFeatures(problem)

    class Features(keras_tuner.HyperModel):
        def build(self, hp):
            return keras_way.build(problem.read(hp))

        def fit(self, hp, model, **options):
            found.append(keras_way.fit(model, problem.read(hp), **options))
            return found[-1]

    start, found = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        tuner = keras_tuner.RandomSearch(
            Features(), keras_tuner.Objective("val_log_loss", "min"), TRIALS, seed=1, directory=folder
        )
        tuner.search(verbose=0)
    known = last(settings, "heads")
    return {
        "trials": len(found),
        "seconds": time.monotonic() - start,
        "plain best validation loss": min(min(h.history["val_log_loss"]) for h in found),
        "plain best validation accuracy": max(max(h.history["val_accuracy"]) for h in found),
        "our best validation loss": known["best validation loss"],
        "our best validation accuracy": known["best validation accuracy"],
    }


def memory(settings, problem: Problem) -> dict:
    peaks, now = {}, {}

    def seen(number: int) -> None:
        peaks[number] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        now[number] = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    with tempfile.TemporaryDirectory() as folder:
        search(problem, Path(folder), 200, seen)
    return {
        "peak MB": {n: peaks[n] for n in (10, 50, 100, 200)},
        "MB": {n: now[n] for n in (10, 50, 100, 200)},
        "peak, trial 200 / trial 10": peaks[200] / peaks[10],
    }


def workers(settings, problem: Problem) -> dict:
    found = {}
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            command = [sys.executable, __file__, *sys.argv[1:], "--worker", folder]
            cores = sorted(os.sched_getaffinity(0))[:count]
            children = [subprocess.Popen([*command, str(core)]) for core in cores]
            while len(list(Path(folder).glob("ready-*"))) < count:
                time.sleep(0.1)
                if any(child.poll() for child in children):
                    raise SystemExit("a worker has died")
            (Path(folder) / "go").touch()
            for child in children:
                child.wait()
            records = open_study(Path(folder) / "trials.db", "benchmark", {}).records()
            ends = [record.began.timestamp() + record.seconds for record in records]
            found[count] = {
                "trials": len(records),
                "seconds": max(ends) - min(record.began.timestamp() for record in records),
                "with the start of the processes": time.monotonic() - start,
                "of each": sorted(sum(r.pid == pid for r in records) for pid in {r.pid for r in records}),
            }
    return {"one": found[1], "two": found[2], "speed-up": found[1]["seconds"] / found[2]["seconds"]}


def work_alone(settings, problem: Problem) -> None:
    """One of the workers: trains its head once, says so, and takes trials when all are ready."""
    import keras_tuner

    from recipes.search.loop import run_trials
    from recipes.search.oracle import make_oracle
    from recipes.settings.tuned import HeadSettings

    folder, head, trainer = Path(settings.worker[0]), HeadSettings(kind="hidden", epochs=EPOCHS), problem.trainer()
    trainer.train(head, 0)
    (folder / f"ready-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    hp = keras_tuner.HyperParameters()
    hp.Int("number", 0, 10**6)
    study = open_study(folder / "trials.db", "benchmark", {})
    run_trials(
        make_oracle("random", study, hp, 40, 0, EPOCHS),
        lambda trial: {"loss": trainer.train(head, trial.seed, trial.report).loss},
    )


def last(settings, part: str) -> dict:
    """The newest result of another part on this folder."""
    path = settings.output / "result.json"
    found = [
        r
        for r in json.loads(path.read_text() if path.exists() else "[]")
        if (r["part"], r["folder"]) == (part, settings.folder)
    ]
    if not found:
        raise SystemExit(f"Run --part {part} --folder {settings.folder} first.")
    return found[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, help="the folder with data/ and weights/")
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--folder", choices=("cifar", "hymenoptera"), default="cifar")
    parser.add_argument("--output", type=Path, default=Path("runs/search"))
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)  # folder, core
    settings = parser.parse_args()
    settings.output = settings.output.resolve()
    os.environ.setdefault("ZOO_CACHE", str(settings.output / "cache"))
    if settings.worker:
        os.sched_setaffinity(0, {int(settings.worker[1])})  # before TensorFlow counts the cores

    from recipes.compute import runtime

    runtime.start(0)
    problem = Problem(settings)
    if settings.worker:
        return work_alone(settings, problem)
    result = {"part": settings.part, "folder": settings.folder} | globals()[settings.part](settings, problem)
    result |= {"load": os.getloadavg()[0], "cores": os.cpu_count(), "machine": platform.machine(), "versions": versions()}
    path = settings.output / "result.json"
    write_json(path, [*(json.loads(path.read_text()) if path.exists() else []), result])
    say(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
