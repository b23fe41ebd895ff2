"""The main recipe: from a folder of images to a classifier, its report and the evidence for it.

    zoo finetune DATA --model mobilenet_v2 --strategy small --output DIR
    python -m recipes.finetune DATA ...

Prepare, choose, fit, evaluate, write. Everything that a run chooses it chooses inside the training part, so that what it
reports about the other parts is what new pictures of the same kind will see.

Measured on hymenoptera (244 pictures to train on, 153 in val/; MobileNetV2, seed 0; 2 CPU cores, TensorFlow 2.21, Keras
3.15.1), `--strategy small`: 0.967 on val/ (95 % interval 0.926 to 0.986), 23 s from start to report. More: docs/results.md.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import contextlib
import shutil
from functools import partial
from pathlib import Path

from recipes.compute.energy import Meter
from recipes.console import say, show, suggest
from recipes.data.sources.own import check_output
from recipes.runs import saved_check
from recipes.runs.folder import check_default, writing
from recipes.settings.finetune import Recipe
from recipes.tracking.trackers import FOLDER, Trackers, require, run_scores, run_settings, tracked
from recipes.transfer import confidence, repeats, results, summary
from recipes.transfer.backbone_choice import AUTO, chosen
from recipes.transfer.judged_labels import judged
from recipes.transfer.repeating import again
from recipes.transfer.run import evaluate, fit, prepare, with_crops
from recipes.transfer.state import Choice, Clock, Outcome, Prepared
from recipes.transfer.trials import choose


def run(recipe: Recipe) -> Path:
    """Make a run, and say what to type next; return its folder.

    Raises:
        UserError: data, weights or output cannot be used; the output folder is as it was.
    """
    data = train(recipe).prepared.data
    suggest(summary.next_steps(recipe, data))
    return recipe.folder


def train(recipe: Recipe) -> Outcome:
    """Prepare, choose, fit, evaluate, write, and say what was reached.

    Raises:
        UserError: data, weights or output cannot be used; the output folder is as it was.
    """
    clock, meter = Clock.of_command(), Meter()
    check_default(recipe)
    check_output(recipe)
    require(recipe)
    with writing(recipe.folder) as folder:
        if recipe.model == AUTO:
            with clock.step("backbone"):
                recipe = chosen(recipe, clock.began)
        prepared = prepare(recipe, clock)
        with saved_check.stranger() as stranger:
            with clock.step("choice"):
                choice = choose(prepared, clock.began)
            say(summary.plan(prepared, choice.strategy))
            values = run_settings(recipe.as_dict()) | {"chosen strategy": choice.strategy.name}
            with contextlib.ExitStack() as stack:
                with clock.step("tracking"):  # whose libraries take seconds to import
                    trackers = stack.enter_context(tracked(recipe, recipe.folder.name, values, folder / FOLDER))
                outcome = _reach(prepared, choice, clock, trackers)
                result, history = results.write(outcome, folder, stranger, clock, meter)
                for row in history:
                    trackers.epoch(row)
                trackers.scores(run_scores(result))
    for state in outcome.states:
        shutil.rmtree(state, ignore_errors=True)
    show(summary.scores(result))
    say(summary.remarks(result, recipe.folder))
    return outcome


def _reach(prepared: Prepared, choice: Choice, clock: Clock, trackers: Trackers) -> Outcome:
    """Fit and evaluate as was chosen. Raises UserError where training cannot be done."""
    found = judged(prepared, choice.strategy, clock)
    fitted = fit(prepared, choice.strategy, choice.deadline, lambda row, states: trackers.epoch(row))
    clock.add(fitted.seconds)
    with clock.step("evaluation"):
        evaluated = evaluate(prepared, fitted)
    with clock.step("confidence"):
        sure, evaluated = confidence.learn(prepared, choice, fitted, evaluated)
    with clock.step("evaluation"):
        evaluated = with_crops(prepared, fitted, evaluated)
    with clock.step("repeats"):
        other = partial(again, prepared, fitted.strategy)
        repeated = repeats.measure(prepared.recipe, prepared.data, fitted.strategy, evaluated.probabilities, other)
    return Outcome(prepared, choice, found, fitted, evaluated, sure, repeated)
