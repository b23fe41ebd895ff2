"""Search: a hundred heads on features that are computed once; the best one becomes a run of `zoo finetune`.

    zoo tune DATA --trials 50 --output DIR
    zoo tune DATA --tuner hyperband --workers 4
    zoo tune DATA --storage postgresql://USER:PASSWORD@HOST/DATABASE --study NAME        # on as many machines as there are
    python -m recipes.tune DATA ...

The features of all pictures, at every candidate cut and in every view, are computed in one pass and kept. A trial trains a
head on those of three quarters of the training pictures and is judged on the last quarter. The parts that a run reports are
measured once, when the winner has been trained anew on all training pictures.

Workers share nothing but the storage of the trials, and none of them is special. The folder in which a study was begun gets
its table, its report and the winner's run, from whichever process holds it when the last trial has ended. A folder belongs to
one study.

Measured on hymenoptera (244 pictures to train on, 153 in val/; MobileNet V1 0.25 at 128 px; seed 0; 2 CPU cores, TensorFlow
2.21, Keras 3.15.1), `--trials 16 --workers 2`: the winner has 86.3 % (79.9 to 90.8) on val/, the solved head of `zoo finetune
--strategy small --augment crops` 84.3 % (77.7 to 89.2), which so few pictures do not tell apart. Time: benchmarks/search.py.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import contextlib
import dataclasses
import json
from pathlib import Path

from recipes import finetune
from recipes.compute.devices import gpus
from recipes.console import say, suggest
from recipes.data.sources.chosen import scan_for_one_label
from recipes.data.sources.own import check_output
from recipes.errors import shown
from recipes.runs.folder import check_default
from recipes.search import workers
from recipes.search.board import Board
from recipes.search.folder import check_table, entered, gets_results, mark_finished, study_name, study_storage
from recipes.search.loop import run_trials
from recipes.search.oracle import SharedOracle, make_oracle
from recipes.search.preparation import Search, prepare_search
from recipes.search.records import TrialRecord, states_in_words
from recipes.search.results import Results, write_table
from recipes.search.scopes import Scope, over_fine_tunings, over_heads
from recipes.search.storage import locate, used
from recipes.search.study import Study, open_study
from recipes.settings.tune import Tuning
from recipes.tracking.trackers import FOLDER, require, tracked
from recipes.transfer.backbone import other_sizes
from recipes.transfer.combined import require_one
from recipes.transfer.state import Clock
from recipes.transfer.summary import predict


def run(settings: Tuning) -> Path:
    """Search, and train the winner; return the folder of the results.

    Raises:
        UserError: data, storage, output or an argument cannot be used, or no trial has a score.
    """
    clock = Clock.of_command()
    check_default(settings)
    check_output(settings)
    require(settings)
    if settings.scope == "finetune":
        require_one(settings.model, "--scope finetune trains the network, and")
    with clock.step("reading"):
        found = scan_for_one_label(settings)
    with contextlib.ExitStack() as stack:
        with clock.step("study"):  # whose library takes a second to import
            is_held = stack.enter_context(entered(settings))
            stack.enter_context(used(locate(study_storage(settings))))
            fixed = {name: getattr(settings, name) for name in ("scope", "tuner", "model", "epochs", "seed")}
            study = open_study(study_storage(settings), study_name(settings), fixed)
            check_table(settings, len(study.records()))
            is_home = is_held and gets_results(settings, study)
        search = prepare_search(settings, found, clock)
        with clock.step("features"):
            study.claim(search.identity())
            scope = over_heads(search) if settings.scope == "heads" else over_fine_tunings(search, study)
        with clock.step("search"):
            oracle = make_oracle(settings.tuner, study, scope.space, settings.trials, settings.seed, settings.epochs)
            say(_plan(search, study))
            try:
                _try_all(search, study, oracle, scope)
            except KeyboardInterrupt:
                if is_home:
                    write_table(settings.folder, study.records())
                raise
        if is_home:
            _finish(search, study, scope, clock)
        else:
            say(f"{states_in_words(study.records())}. Table, report and winner: {study.home['where']}")
    return settings.folder


def _plan(search: Search, study: Study) -> str:
    """Say what is about to happen."""
    settings, data = search.settings, search.data
    unseen = ", ".join(f"{len(data.part(name)):,} {name}" for name in ("validation", "test") if len(data.part(name)))
    if settings.scope == "heads":
        what = f"features of {', '.join(search.cuts)}, in {len(search.views)} views"
    else:
        head = "the best of a search over heads" if study.identity["head"] else "solved, because no search over heads is known"
        what = f"fine-tuning, each trial in a process of its own; its head is {head}"
    lines = [
        f"{shown(data.root)}: {len(search.train):,} training images of {len(data.classes):,} classes, of which "
        f"{len(search.held_out):,} are held out to judge trials; no trial sees the others ({unseen or 'there are none'}).",
        *map(shown, data.findings),
        f"{settings.model}: {what}.",
        *other_sizes(search.model),
        f"search {study.name!r}: {settings.trials} trials by {settings.tuner}, of at most {settings.epochs} epochs; "
        f"{states_in_words(study.records())} so far.",
    ]
    return "\n".join(lines)


def _try_all(search: Search, study: Study, oracle: SharedOracle, scope: Scope) -> None:
    """Run all trials that are left, here or in processes of their own."""
    settings = search.settings

    def ended(record: TrialRecord) -> None:
        name = f"trial {record.number}"
        folder = settings.folder / FOLDER / name if search.disk.left > 0 else None
        with tracked(settings, f"{study.name} {name}", record.values, folder) as trackers:
            for epoch, loss in record.history:
                trackers.epoch({"epoch": epoch, "loss": loss})
            trackers.scores({f"best {name}": value for name, value in record.result.items()})

    devices = gpus()
    count = settings.workers or (max(1, len(devices)) if settings.devices == "1" else 1)
    with Board(settings.trials, study.records):
        if count > 1:
            storage = settings.storage or str(study_storage(settings).resolve())
            joining = dataclasses.replace(settings, workers=1, study=study.name, storage=storage)
            workers.run("recipes.tune", joining.words(), settings.folder, count, devices)
        run_trials(oracle, scope.work, ended)  # alone; or what is left where workers have died


def _finish(search: Search, study: Study, scope: Scope, clock: Clock) -> None:
    """Write table and report; train the winner; write the report again, with what it has reached."""
    folder = search.settings.folder
    with clock.step("report"):
        results = Results.of(search, study)
    results.write(None, clock)
    with clock.step("winner"):
        recipe, file = scope.winner(results.best), folder / "best.json"
        recipe.save(file)
        done = folder / "best" / "recipe.json"
        if not (done.exists() and done.read_bytes() == file.read_bytes()):
            say(f"\nThe winner, trial {results.best.number}, trained anew on all training images:")
            finetune.train(recipe)
    results.write(json.loads((folder / "best" / "result.json").read_text("utf-8")), clock)
    mark_finished(study)
    say(f"\ntrials, best models and winner: {shown(folder)}; report: {shown(folder / 'report.html')}")
    suggest(
        {
            "classify pictures by the winner": predict(folder / "best", search.data),
            "train the winner again": ["zoo", "finetune", "--recipe", file],
        }
    )
