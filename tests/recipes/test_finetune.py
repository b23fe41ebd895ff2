"""The main recipe on handwritten digits and on everything that can be wrong with a folder."""

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import commands
import keras
import numpy as np
import pytest
from helpers import ROOT, digits_folder, unprivileged
from PIL import Image

from recipes import cli, finetune
from recipes.compute import signals
from recipes.errors import UserError
from recipes.evaluation.calibration import at_temperature
from recipes.runs.folder import writing
from recipes.settings.finetune import Recipe
from recipes.settings.tuned import FineTuneSettings
from recipes.transfer import run as engine
from recipes.transfer.choice import bests
from recipes.transfer.evidence import Trial
from recipes.transfer.run import fit, prepare
from recipes.transfer.strategies import Phase
from recipes.transfer.trials import choose
from zoo.progress import Progress

FILES = {
    "model.keras",
    "model.keras.sha256",
    "reference.npz",
    "result.json",
    "report.html",
    "MODEL_CARD.md",
    "recipe.json",
    "files.csv",
    "history.csv",
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """A folder of class folders: 12 pictures of each digit."""
    return digits_folder(tmp_path_factory.mktemp("digits"), 12)


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory) -> tuple[Path, dict]:
    """A run of strategy small, and its result."""
    output = tmp_path_factory.mktemp("runs") / "digits"
    finetune.run(Recipe(data=digits, output=output, model="lenet5", strategy="small"))
    return output, json.loads((output / "result.json").read_text())


def table(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_small_sees_each_picture_once_unless_it_is_asked_for_more(digits, tmp_path, monkeypatch):
    """120 pictures, 80 of them to train on; LeNet-5's have nothing outside the crop, so the second view is the mirrored one."""
    for augment, views in (("auto", 120), ("crops", 120 + 80)):
        monkeypatch.setenv("ZOO_CACHE", str(tmp_path / augment))
        finetune.run(Recipe(digits, tmp_path / f"run {augment}", "lenet5", strategy="small", augment=augment))
        kept = [json.loads(path.read_text())["keys"] for path in (tmp_path / augment / "features").rglob("*.json")]
        assert sum(map(len, kept)) == len(set().union(*kept)) == views


@pytest.mark.slow
def test_the_folder_holds_the_contract(finished):
    output, result = finished
    assert {path.name for path in output.iterdir()} == FILES
    card = (output / "MODEL_CARD.md").read_text("utf-8")
    assert f"value: {result['metrics']['test']['accuracy']}\n" in card and str(output.parent) not in card
    assert result["schema"] == 3 and result["classes"] == list("0123456789")
    assert result["counts"] == {"train": 80, "validation": 20, "test": 20, "left_out": 0}
    assert result["strategy"]["name"] == "small" and result["strategy"]["freeze_until"] == "pre_logits"
    assert result["strategy"]["frozen"] == ["c1", "c3", "c5", "f6"]
    assert result["model"]["parameters"] == 61_706 and result["model"]["trainable"] == 850
    assert len(result["model"]["weights_sha256"]) == 64
    paper = "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, doi:10.1109/5.726791"
    terms = {"license": "Apache-2.0", "citations": [paper]}
    assert terms.items() <= result["model"].items()
    page = (output / "report.html").read_text()
    assert "<dt>licence of the weights</dt><dd>Apache-2.0</dd>" in page and f"<dt>to cite</dt><dd>{paper}</dd>" in page
    with zipfile.ZipFile(output / "model.keras") as archive:
        assert json.loads(archive.read("origin.json")) == {"model": "lenet5"} | terms
    steps = "reading building features choice tracking labels head evaluation confidence repeats saving report check"
    assert list(result["seconds"]) == ["total", *steps.split()]  # run here: there is no start of a process of its own
    assert {"python", "keras", "backend"} <= set(result["versions"]) and result["seed"] == 0
    for measured in result["metrics"].values():
        low, high = measured["accuracy_interval"]
        assert 0 <= low <= measured["accuracy"] <= high <= 1 and measured["loss"] > 0
        assert [row["name"] for row in measured["classes"]] == list("0123456789")
    assert result["metrics"]["test"]["accuracy"] > 0.5


def test_files_csv_and_metrics_agree(finished):
    output, result = finished
    rows = table(output / "files.csv")
    assert len(rows) == 120
    for split in ("train", "validation", "test"):
        part = [row for row in rows if row["split"] == split]
        right = sum(row["label"] == row["prediction"] for row in part)
        assert right / len(part) == pytest.approx(result["metrics"][split]["accuracy"])
    assert len(table(output / "history.csv")) == 1


@pytest.mark.slow
def test_model_loads_where_zoo_cannot_be_imported_and_gives_the_stated_accuracy(finished, digits, tmp_path):
    """Another process, without this project, decodes the pictures by itself and counts."""
    output, result = finished
    script = """
import sys, json, zipfile, csv
class Refuse:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("zoo", "recipes", "callbacks"): raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import keras, numpy as np
from PIL import Image
run, data = sys.argv[1:]
model = keras.models.load_model(f"{run}/model.keras")
classes = json.loads(zipfile.ZipFile(f"{run}/model.keras").read("classes.json"))
rows = [r for r in csv.DictReader(open(f"{run}/files.csv")) if r["split"] == "test"]
x = np.stack([np.asarray(Image.open(f"{data}/{r['path']}").convert("L"))[..., None] for r in rows])
guess = model.predict(x, verbose=0).argmax(1)
print(json.dumps([classes, float(np.mean([classes[g] == r["label"] for g, r in zip(guess, rows)]))]))
code = open(f"{run}/MODEL_CARD.md").read().split("```python\\n")[1].split("```")[0]
exec(code.replace("new.jpg", f"{data}/{rows[0]['path']}").replace("model.keras", f"{run}/model.keras"))
print(json.dumps([float(rows[0]["probability"]), float(probabilities[classes.index(rows[0]["prediction"])])]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, output, digits], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    (classes, accuracy), _, (stated, told) = map(json.loads, done.stdout.replace("'", '"').splitlines()[-3:])
    assert classes == result["classes"] and told == pytest.approx(stated, abs=1e-5), "by the code of the model's card"
    assert accuracy == pytest.approx(result["metrics"]["test"]["accuracy"])


def test_only_stock_layers_are_saved(finished):
    with zipfile.ZipFile(finished[0] / "model.keras") as archive:
        config = archive.read("config.json").decode()
    assert '"module": "zoo' not in config and 'registered_name": "zoo' not in config


@pytest.mark.slow
def test_the_same_command_twice_gives_the_same_predictions(finished, digits, tmp_path):
    output, result = finished
    finetune.run(
        Recipe.load(output / "recipe.json").__class__(data=digits, output=tmp_path / "again", model="lenet5", strategy="small")
    )
    assert (tmp_path / "again" / "files.csv").read_bytes() == (output / "files.csv").read_bytes()


@pytest.mark.slow
def test_recipe_json_repeats_the_run(finished, tmp_path):
    output, result = finished
    recipe = Recipe.load(output / "recipe.json")
    assert cli.main(["finetune", "--recipe", str(output / "recipe.json"), "--output", str(tmp_path / "again")]) == 0
    assert replace(Recipe.load(tmp_path / "again" / "recipe.json"), output=recipe.output) == recipe
    assert (tmp_path / "again" / "files.csv").read_bytes() == (output / "files.csv").read_bytes()


@pytest.mark.parametrize(
    "strategy, frozen, precision", [("medium", ["c1"], "auto"), ("large", [], "mixed"), ("scratch", [], "float32")]
)
@pytest.mark.slow
def test_every_strategy_runs_freezes_and_repeats(strategy, frozen, precision, digits, tmp_path, deterministic):
    recipe = Recipe(digits, tmp_path / "one", "lenet5", strategy=strategy, epochs=2, precision=precision)
    finetune.run(recipe)
    finetune.run(replace(recipe, output=tmp_path / "two"))
    result = json.loads((tmp_path / "one" / "result.json").read_text())
    assert result["strategy"]["frozen"] == frozen
    assert result["precision"] == ("mixed" if precision == "mixed" else "float32")  # on a processor
    saved = keras.models.load_model(tmp_path / "one" / "model.keras")
    assert {layer.dtype_policy.name for layer in saved.layers} == {"float32"}
    assert (tmp_path / "one" / "files.csv").read_bytes() == (tmp_path / "two" / "files.csv").read_bytes()
    history = table(tmp_path / "one" / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"] and all(row["validation_loss"] for row in history)


@pytest.mark.parametrize("strategy", ["small", "full", "lp_ft", "gradual", "tuned", "auto"])
@pytest.mark.slow
def test_recipe_json_repeats_every_strategy_to_the_same_predictions(strategy, digits, tmp_path, deterministic):
    found = FineTuneSettings("stage1", 0.7, 0.01) if strategy == "tuned" else None
    finetune.run(Recipe(digits, tmp_path / "one", "lenet5", strategy=strategy, fine_tuning=found, epochs=1))
    assert finetune.run(replace(Recipe.load(tmp_path / "one" / "recipe.json"), output=tmp_path / "two")) == tmp_path / "two"
    assert (tmp_path / "one" / "files.csv").read_bytes() == (tmp_path / "two" / "files.csv").read_bytes()


@pytest.mark.slow
def test_large_goes_three_quarters_of_the_way_from_the_converged_head_to_what_it_trained(digits, tmp_path, deterministic):
    ends = {}
    for share in (0.0, 0.75, 1.0):
        prepared = prepare(Recipe(digits, tmp_path / "run", "lenet5", strategy="large", epochs=2))
        strategy = choose(prepared, 0.0).strategy
        phase = strategy.phases[0]
        assert phase.interpolation == 0.75
        fit(prepared, replace(strategy, phases=(replace(phase, interpolation=share),)))
        ends[share] = prepared.model.get_weights()
    assert not any(np.array_equal(a, b) for a, b in zip(ends[0.0], ends[1.0], strict=True))
    for start, between, end in zip(*ends.values(), strict=True):
        np.testing.assert_allclose(between, start + 0.75 * (end - start), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_auto_says_what_it_measured_and_tried_and_leaves_no_trace_of_the_trials(digits, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    for i in range(10):  # some in a wrong folder: where all that is held out is right, no second strategy is tried
        for picture in sorted((data / str(i)).iterdir())[:3]:
            picture.rename(data / str((i + 1) % 10) / f"of-{i}-{picture.name}")
    finetune.run(Recipe(data=data, output=tmp_path / "run", model="lenet5", epochs=1))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    strategy, facts = result["strategy"], result["strategy"]["facts"]
    assert (
        facts["images"] == 80
        and facts["classes"] == 10
        and facts["fewest"] == 8
        and set(facts["probes"]) == {"stage1", "pre_logits"}
    )
    trials = facts["rehearsals"]
    assert {trial["strategy"] for trial in trials} >= {"small", "medium"}
    assert all(trial["images"] == 20 for trial in trials)
    assert f"{min(trial['loss'] for trial in trials if trial['strategy'] == 'medium'):.3f}" in strategy["reason"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert strategy["reason"][:40] in page and "Strategies that were tried" in page
    assert all(f"{trial.loss:.3f}" in page for trial in bests([Trial(**trial) for trial in trials]))
    recipe = Recipe(data=data, output=tmp_path / "asked", model="lenet5", epochs=1, strategy=strategy["name"])
    again = prepare(recipe)
    found = choose(again, 0.0).strategy
    found = replace(found, phases=tuple(Phase(**phase) for phase in strategy["phases"]))
    fit(again, found)
    listed = [float(row["probability"]) for row in table(tmp_path / "run" / "files.csv")]
    guess = at_temperature(again.data.task, engine.probabilities(again, found), result["confidence"]["temperature"])
    np.testing.assert_allclose(guess.max(axis=1), listed, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("change, kept", [(0.01, True), (0.2, False)])
def test_a_run_whose_evaluation_is_not_the_models_is_not_kept(digits, tmp_path, monkeypatch, change, kept):
    """What a GPU rounds in another batch passes; what comes from another network does not."""
    answers = engine.answers

    def others(*given):
        found = answers(*given)
        return replace(found, probabilities=found.probabilities * (1 - change) + change * np.eye(10)[3])

    monkeypatch.setattr(engine, "answers", others)
    recipe = Recipe(digits, tmp_path / "run", "lenet5", strategy="small")
    with contextlib.nullcontext() if kept else pytest.raises(UserError, match="The evaluated model differs from the trained"):
        finetune.run(recipe)
    assert (tmp_path / "run" / "result.json").exists() == kept


@pytest.mark.slow
def test_a_corrupt_picture_is_named_left_out_and_listed(digits, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(digits, data)
    victim = next((data / "3").iterdir())
    victim.write_bytes(victim.read_bytes()[:60])
    code = cli.main(["finetune", str(data), "--model", "lenet5", "--strategy", "small", "--output", str(tmp_path / "r")])
    shown = capsys.readouterr()
    assert code == 0 and f"warning: {victim} is truncated" in shown.err
    row = next(row for row in table(tmp_path / "r" / "files.csv") if row["path"] == f"3/{victim.name}")
    assert row["split"] == "" and "truncated" in row["reason"]
    result = json.loads((tmp_path / "r" / "result.json").read_text())
    assert result["counts"]["left_out"] == 1 and sum(result["counts"].values()) == 120


def bad_folder(kind: str, digits: Path, tmp_path: Path) -> list[str]:
    """Arguments that must be refused."""
    data = tmp_path / "data"
    if kind == "missing":
        return [str(data)]
    if kind == "empty":
        data.mkdir()
    elif kind == "one class":
        shutil.copytree(digits / "1", data / "1")
    elif kind == "one image":
        shutil.copytree(digits, data)
        (data / "lonely").mkdir()
        Image.new("L", (8, 8), 9).save(data / "lonely" / "one.png")
    else:
        shutil.copytree(digits, data)
    return [str(data)]


@pytest.mark.parametrize(
    "kind, arguments, sentence",
    [
        ("missing", [], "does not exist"),
        ("empty", [], "is empty|holds no"),
        ("one class", [], "one class"),
        ("one image", [], "Class lonely .* needs at least 4 different pictures .* has 1"),
        ("good", ["--model", "resnet5000"], "no model 'resnet5000': choose one of .*resnet50"),
        ("good", ["--weights", "missing.h5"], "no weights 'missing.h5'"),
        ("good", ["--weights", "README.md"], "README.md is no HDF5"),
        ("good", ["--alpha", "0.5"], "--alpha does not apply to lenet5"),
        ("good", ["--image-size", "8"], "height and width must be 16 or more"),
        ("good", ["--validation", "0.6", "--test", "0.5"], "leave something to train on"),
        ("good", ["--epochs", "0"], "--epochs must be positive"),
        ("good", ["--strategy", "medium", "--weights", "none"], "freezes layers that --weights none leaves untrained"),
        ("good", ["--batch-norm", "adapt"], "--batch-norm adapt has nothing to act on: lenet5 has no batch norm"),
        ("good", ["--strategy", "small", "--batch-norm", "affine"], "--batch-norm affine has nothing to act on"),
        ("good", ["--strategy", "small", "--budget", "1s"], "--budget 1s is too short: without any training .* 120 images"),
        ("good", ["--output", "README.md"], "README.md is a file"),
        ("good", ["--output", "/proc/run"], "/proc/run cannot be written"),
        ("good", ["--recipe", "nowhere.json"], "nowhere.json cannot be read"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(kind, arguments, sentence, digits, tmp_path, capsys, monkeypatch):
    import re

    monkeypatch.chdir(ROOT)
    data = bad_folder(kind, digits, tmp_path)
    output = [] if "--output" in arguments else ["--output", str(tmp_path / "run")]
    model = [] if "--model" in arguments else ["--model", "lenet5"]
    code = cli.main(["finetune", *data, *model, *output, *arguments])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("zoo: ")]
    assert code == 2 and len(lines) == 1 and re.search(sentence, lines[0])
    assert "Traceback" not in lines[0] and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_weights_of_another_architecture(digits, tmp_path, capsys):
    import zoo

    zoo.mobilenet(alpha=0.25, num_classes=10).save_weights(tmp_path / "other.weights.h5")
    code = cli.main(
        [
            "finetune",
            str(digits),
            "--model",
            "lenet5",
            "--weights",
            str(tmp_path / "other.weights.h5"),
            "--output",
            str(tmp_path / "run"),
        ]
    )
    assert code == 2
    said = capsys.readouterr().err
    assert "other.weights.h5 is of another network than lenet5" in said and "give the model and the options" in said


def test_no_permission_to_write():
    folder = Path(tempfile.mkdtemp())  # not in pytest's own folder, which other users may not enter
    folder.chmod(0o555)
    try:
        with unprivileged(), pytest.raises(UserError, match=r"^--output .*/run cannot be written \(Permission denied\)"):
            writing(folder / "run").__enter__()
    finally:
        folder.rmdir()


@pytest.mark.slow
def test_ctrl_c_leaves_the_old_run_and_one_line(finished, digits, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(finished[0], output)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    command = commands.start(
        "finetune", digits, "--model", "lenet5", "--strategy", "scratch", "--epochs", 5000, "--output", output
    )
    command.wait_until(lambda command: "strategy scratch" in command.stdout)
    time.sleep(2)
    command.signal(signal.SIGINT)
    assert command.wait(60) == 130 and "Traceback" not in command.stderr
    assert command.stderr.strip().splitlines()[-1].startswith("zoo: interrupted; the output folder is as it was")
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert os.listdir(tmp_path) == ["run"]


def test_an_interrupt_that_a_library_swallows_is_raised_by_the_next_step():
    before = signal.getsignal(signal.SIGINT)
    with signals.raised(), Progress("work", 3, "steps") as progress:
        progress.advance()
        with contextlib.suppress(KeyboardInterrupt):  # as TensorFlow does while it traces
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            progress.advance()
    with signals.raised():
        Progress("other work", 3, "steps").advance()
    assert signal.getsignal(signal.SIGINT) == before


def test_an_interrupt_that_a_library_makes_another_error_of_is_one():
    with pytest.raises(KeyboardInterrupt), signals.raised():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:  # as TensorFlow does whose look for an attribute a signal cuts short
            raise AttributeError("'IteratorSpec' object has no attribute '_without_tensor_names'") from None
    assert signals.status() == 143
    with pytest.raises(AttributeError), signals.raised():
        raise AttributeError("no signal came")


def test_help_imports_nothing_heavy():
    script = (
        "import sys\nfrom recipes import cli\ntry:\n    cli.main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print([m for m in ('keras', 'tensorflow', 'numpy', 'sklearn', 'PIL', 'matplotlib') if m in sys.modules])"
    )
    for arguments in (["--help"], ["finetune", "--help"], ["predict", "--help"]):
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
        assert "usage: zoo" in done.stdout and done.stdout.splitlines()[-1] == "[]"


def test_unknown_command(capsys):
    assert cli.main(["finetoon"]) == 2
    assert "There is no command 'finetoon': did you mean finetune?" in capsys.readouterr().err


class TestPredict:
    def test_files_folders_and_globs(self, finished, digits, capsys):
        output, _ = finished
        row = next(row for row in table(output / "files.csv") if row["split"] == "test")
        assert cli.main(["predict", str(output), str(digits / row["path"]), "--top", "1"]) == 0
        line = capsys.readouterr().out.strip()
        path, name, probability = line.split()
        assert path == str(digits / row["path"]) and name == row["prediction"]
        assert float(probability) == pytest.approx(float(row["probability"]), abs=2e-4)
        assert cli.main(["predict", str(output), str(digits / "7"), str(digits / "[01]" / "*.png")]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 36 and all(len(line.removesuffix("  unknown").split()) == 7 for line in lines)

    def test_unreadable_pictures_are_named_and_the_others_predicted(self, finished, digits, tmp_path, capsys):
        good = next((digits / "0").iterdir())
        (tmp_path / "bad.jpg").write_bytes(b"<html>")
        assert cli.main(["predict", str(finished[0]), str(good), str(tmp_path / "bad.jpg")]) == 2
        shown = capsys.readouterr()
        assert str(good) in shown.out and "bad.jpg is" in shown.err

    def test_nothing_to_predict(self, finished, tmp_path, capsys):
        assert cli.main(["predict", str(finished[0]), str(tmp_path / "*.png")]) == 2
        assert "no pattern that matches any" in capsys.readouterr().err

    def test_no_pictures_named(self, finished, capsys):
        assert cli.main(["predict", str(finished[0])]) == 2
        assert "nothing to predict: give files, folders or patterns" in capsys.readouterr().err

    def test_no_run(self, tmp_path, capsys):
        assert cli.main(["predict", str(tmp_path), str(tmp_path)]) == 2
        assert "is no finished run" in capsys.readouterr().err


def test_probabilities_are_those_of_the_whole_model_from_pixels(finished, digits):
    """What went through cached features equals what the saved model says of the pictures."""
    import keras

    output, _ = finished
    rows = table(output / "files.csv")
    model = keras.models.load_model(output / "model.keras")
    x = np.stack([np.asarray(Image.open(digits / row["path"]))[..., None] for row in rows])
    guesses = model.predict(x, verbose=0)
    assert [str(g.argmax()) for g in guesses] == [row["prediction"] for row in rows]
    np.testing.assert_allclose(guesses.max(axis=1), [float(row["probability"]) for row in rows], atol=1e-5)
