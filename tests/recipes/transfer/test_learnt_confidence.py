"""What a run learns of its confidence: from pictures that nothing has learnt from, and into the last layer of its network."""

import csv
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import digits_folder
from PIL import Image
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import zoo
from recipes import finetune, predict
from recipes.data.images import center, read
from recipes.errors import UserError
from recipes.runs import model_file, reference
from recipes.settings.finetune import Recipe
from recipes.settings.predict import Prediction
from recipes.transfer import confidence, logistic
from recipes.transfer.confidence import divide_logits, known_pictures
from recipes.transfer.logistic import PENALTIES, OutOfFold
from recipes.transfer.run import evaluate, fit, prepare
from recipes.transfer.trials import choose

HEADS = {"linear": "softmax", "dropout": "softmax", "hidden": "softmax", "cosine": "softmax", "labels": "sigmoid"}


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    return digits_folder(tmp_path_factory.mktemp("digits"), 20)


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory) -> tuple[Path, dict]:
    output = tmp_path_factory.mktemp("runs") / "digits"
    finetune.run(Recipe(digits, output, "lenet5", strategy="small"))
    return output, json.loads((output / "result.json").read_text())


@pytest.mark.parametrize(("head", "activation"), HEADS.items())
def test_the_last_layer_takes_the_temperature(head, activation):
    kind = "linear" if head == "labels" else head
    model = zoo.new_head(zoo.lenet5(num_classes=0), 3, activation=activation, head=kind)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 1)).astype("float32")
    logits = zoo.new_head(zoo.lenet5(num_classes=0), 3, activation=None, head=kind)
    logits.set_weights(model.get_weights())
    expected = keras.ops.convert_to_numpy(logits(pixels, training=False)) / 1.7
    divide_logits(model, 1.7)
    found = keras.ops.convert_to_numpy(model(pixels, training=False))
    theirs = softmax(expected, axis=1) if activation == "softmax" else expit(expected)
    np.testing.assert_allclose(found, theirs, atol=1e-6)


@pytest.mark.slow
def test_the_file_gives_what_the_tables_say(finished):
    """Features and probabilities of one pass are those of the run; the temperature has lowered no accuracy."""
    output, result = finished
    classifier, known = model_file.read(output), reference.read(output)
    sure, said = classifier.confidence, result["confidence"]
    assert sure.temperature == said["temperature"] != 1
    assert said["pictures"] == sure.count == result["counts"]["train"] and "cross-validation" in said["source"]
    assert said["after"]["loss"] == pytest.approx(result["metrics"]["test"]["loss"], rel=1e-3)
    assert said["after"]["calibration_error"] == result["metrics"]["test"]["calibration_error"]
    assert len(known.features) == len(set(known.paths)) == result["counts"]["train"]
    assert not known.is_trained and len(known.unseen) == result["counts"]["test"] + result["counts"]["validation"]
    frame = classifier.framing
    pixels = np.stack([center(read(Path(result["data"], path), frame)[0], frame) for path in known.paths[:9]])
    features, guesses = classifier.answers(pixels)
    np.testing.assert_allclose(features, known.features[:9], rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(guesses, classifier.probabilities(pixels), atol=1e-6)


@pytest.mark.slow
def test_the_report_says_it(finished):
    output, result = finished
    page = (output / "report.html").read_text()
    assert "What it knows, and what it does not" in page
    assert f"Temperature {result['confidence']['temperature']:.3f}" in page
    assert "Answering only the surest" in page and "zoo predict --coverage 0.9" in page


@pytest.fixture(scope="module")
def prepared(digits):
    return prepare(Recipe(digits, model="lenet5", strategy="small", mirror="no"))


@pytest.fixture(scope="module")
def learnt(prepared):
    choice = choose(prepared, 0.0)
    fitted = fit(prepared, choice.strategy)
    before = evaluate(prepared, fitted)
    return choice, fitted, before, confidence.learn(prepared, choice, fitted, before)


@pytest.mark.slow
def test_training_pictures_are_told_by_heads_that_have_not_seen_them(prepared, learnt):
    """scikit-learn's, fitted to the same folds with the chosen penalty, says the same of each."""
    choice, fitted, before, _ = learnt
    data, train = prepared.data, prepared.data.part("train")
    known = known_pictures(data, choice, fitted, before)
    assert sorted(known.images) == sorted(train)
    rows = before.features[np.searchsorted(before.referred, train)]
    rows = (rows - rows.mean(axis=0)) / rows.std()
    labels, penalty = data.labels[train], fitted.head.chosen["penalty"]
    assert penalty in PENALTIES
    expected = np.zeros((len(train), 10))
    for inside, outside in logistic.folds_of(data.task, labels, 0):
        theirs = LogisticRegression(C=1 / penalty / len(inside), tol=1e-8, max_iter=5_000).fit(rows[inside], labels[inside])
        expected[outside] = theirs.predict_proba(rows[outside])
    place = np.searchsorted(train, known.images)
    differences = np.abs(known.probabilities - expected[place])
    # With hardly any penalty the few pictures that are in doubt tell where a minimisation ends.
    assert np.quantile(differences, 0.98) < 0.02 and differences.mean() < 0.005
    best = min(row["loss"] for row in fitted.head.path)
    assert log_loss(data.labels[known.images], known.probabilities) == pytest.approx(best, rel=0.02)


@pytest.mark.slow
def test_where_a_trained_network_takes_its_temperature_from(prepared, learnt):
    """The validation part beside a test; what a trial held out; else nothing, and the scores are those of the one part."""
    choice, fitted, before, _ = learnt
    data = prepared.data
    trained = replace(fitted, strategy=replace(fitted.strategy, phases=("some",)))
    validation, test = data.part("validation"), data.part("test")
    assert (known_pictures(data, choice, trained, before).images == validation).all()
    one_part = replace(data, splits=np.where(data.splits == "test", "validation", data.splits))
    only = known_pictures(one_part, choice, trained, before)
    assert only.is_reported and (only.images == one_part.part("validation")).all()
    held_out = OutOfFold(np.arange(25), before.probabilities[:25])
    tried = known_pictures(one_part, replace(choice, held_out=held_out), trained, before)
    assert not tried.is_reported and (tried.images == one_part.part("train")[:25]).all()
    nothing = replace(data, splits=np.full(len(data.splits), "train"))
    assert known_pictures(nothing, choice, trained, before) is None
    assert len(test)


@pytest.fixture(scope="module")
def noise(tmp_path_factory) -> Path:
    """Pictures of nothing."""
    folder = tmp_path_factory.mktemp("noise")
    generator = np.random.default_rng(0)
    for i in range(25):
        Image.fromarray(generator.integers(0, 256, (32, 32), dtype="uint8")).save(folder / f"{i}.png")
    return folder


@pytest.mark.slow
def test_predict_gives_sets_and_says_what_is_unknown(finished, noise, tmp_path, capsys):
    output, result = finished
    with open(output / "files.csv", newline="") as file:
        test = [row for row in csv.DictReader(file) if row["split"] == "test"]
    paths = [str(Path(result["data"], row["path"])) for row in test]
    predict.run(Prediction(output, tuple(paths), coverage=0.9, json=tmp_path / "answers.json", csv=tmp_path / "answers.csv"))
    assert "differ, as a whole" not in capsys.readouterr().err
    answers = json.loads((tmp_path / "answers.json").read_text())
    held = np.mean([row["label"] in answer["set"] for row, answer in zip(test, answers, strict=True)])
    said = next(row for row in result["confidence"]["sets"] if row["asked"] == 0.9)
    assert held == said["covered"] and np.mean([len(answer["set"]) for answer in answers]) == pytest.approx(said["size"])
    refused = next(row for row in result["confidence"]["unknown"] if row["asked"] == 0.05)
    assert np.mean([answer["unknown"] for answer in answers]) == refused["refused"] < 0.3
    with open(tmp_path / "answers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["set"].split(";") if row["set"] else [] for row in rows] == [answer["set"] for answer in answers]
    assert {row["unknown"] for row in rows} <= {"true", "false"}
    assert predict.run(Prediction(output, (str(noise),), top=1)) == 25
    out, err = capsys.readouterr()
    unknown = sum(line.endswith("  unknown") for line in out.splitlines())
    assert unknown > 5  # LeNet-5 takes some noise for a digit; of digits one in twenty may be refused
    assert f"note: {unknown} of 25 pictures are unknown" in err and "warning: these pictures differ, as a whole" in err
    predict.run(Prediction(output, (str(noise),), refuse=0))
    assert "unknown" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.fault(
    "Prediction",
    "sets or unknown pictures are asked of a run that is too old for them",
    "pictures are predicted, and what cannot be told is said; `--coverage` without known answers is refused",
    "an old run is as good as it was",
)
def test_older_runs_predict_and_say_what_they_cannot(finished, noise, tmp_path, capsys):
    output, _ = finished
    without = tmp_path / "without"
    shutil.copytree(output, without)
    (without / "reference.npz").unlink()
    predict.run(Prediction(without, (str(noise),), coverage=0.9))
    out, err = capsys.readouterr()
    assert "unknown" not in out and "{" in out
    assert "has no reference.npz, because it is older" in err and "Make the run again" in err
    members = {}
    with zipfile.ZipFile(output / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != "confidence.json"}
    with zipfile.ZipFile(without / "model.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    (without / "model.keras.sha256").unlink()
    predict.run(Prediction(without, (str(noise),), top=1))
    with pytest.raises(UserError, match=r"--coverage needs answers to pictures .* has none: it is older"):
        predict.run(Prediction(without, (str(noise),), coverage=0.9))


@pytest.mark.parametrize("wrong", [{"coverage": 1.0}, {"coverage": 0.0}, {"refuse": 1.0}, {"refuse": -0.1}], ids=str)
def test_shares_that_are_none_are_refused(wrong, tmp_path):
    with pytest.raises(UserError, match=f"--{next(iter(wrong))} must"):
        Prediction(tmp_path, ("a.png",), **wrong)
