"""Pictures with several labels: the CSV file, a run on it, its measures, and what is refused."""

import csv
import json
import re

import numpy as np
import pytest
from helpers import digits_folder
from sklearn import metrics as reference

from recipes import cli
from recipes.data.sources.labels import scan_labels
from recipes.evaluation.metrics import average_precision, label_metrics

LABELS = {"even": lambda n: n % 2 == 0, "large": lambda n: n > 4, "round": lambda n: n in (0, 6, 8, 9)}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder of digits and a CSV file that says of each whether it is even, large and round; a 1 is none of these."""
    folder = digits_folder(tmp_path_factory.mktemp("labelled"), 12)
    with open(folder.parent / "labels.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "labels"])
        for path in sorted(folder.glob("*/*.png")):
            number = int(path.parent.name)
            labels = ";".join(name for name, has in LABELS.items() if has(number))
            writer.writerow([path.relative_to(folder).as_posix(), labels])
    return folder


@pytest.mark.slow
def test_a_run_predicts_reports_and_says_every_class_over_one_half(digits, tmp_path, capsys):
    arguments = [
        "finetune",
        str(digits),
        "--labels",
        str(digits.parent / "labels.csv"),
        "--model",
        "lenet5",
        "--strategy",
        "small",
        "--mirror",
        "no",
        "--output",
        str(tmp_path / "run"),
        "--folds",
        "2",
    ]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    columns = " +".join(f"{name} \\(95 % interval\\)" for name in ("mean average precision", "macro F1", "micro F1"))
    assert re.search(rf"^part +images  {columns}$", out, re.M)
    assert re.search(r"^test +\d+ " + r" +[\d.]+ % \([\d.]+ % to [\d.]+ %\)" * 3 + "$", out, re.M)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["classes"] == ["even", "large", "round"] and result["head"]["kind"] == "linear"
    assert result["metrics"]["test"]["mean_average_precision"] > 0.8
    with open(tmp_path / "run" / "files.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    truth, guess = (
        np.array([[name in row[key].split(";") for name in result["classes"]] for row in rows])
        for key in ("label", "prediction")
    )
    assert result["metrics"]["test"]["micro_f1"] == pytest.approx(reference.f1_score(truth, guess, average="micro"))
    assert result["metrics"]["test"]["accuracy"] == pytest.approx((truth == guess).all(axis=1).mean())
    page = (tmp_path / "run" / "report.html").read_text()
    assert "mean average precision" in page and 'id="confusion"' not in page and "Worst mistakes" in page
    low, high = result["repeats"]["interval"]["mean_average_precision"]
    assert low <= result["repeats"]["mean"]["mean_average_precision"] <= high
    assert cli.main(["predict", str(tmp_path / "run"), *(str(digits / row["path"]) for row in rows)]) == 0
    for line, row in zip(capsys.readouterr().out.splitlines(), rows, strict=True):
        named = {word for word in line.split()[1:] if word in result["classes"]}
        assert named == set(row["prediction"].split(";")) - {""}
        assert named or "no class over 0.5" in line


@pytest.mark.slow
def test_both_forms_of_the_file_say_the_same(digits, tmp_path):
    one = scan_labels(digits, digits.parent / "labels.csv")
    lines = ["path,split," + ",".join(LABELS)]
    for path in sorted(digits.glob("*/*.png")):
        flags = ",".join(str(int(has(int(path.parent.name)))) for has in LABELS.values())
        lines.append(f"{path.relative_to(digits).as_posix()},Training,{flags}")
    (tmp_path / "columns.csv").write_text("\n".join(lines))
    other = scan_labels(digits, tmp_path / "columns.csv")
    assert one.classes == other.classes == ("even", "large", "round")
    assert [(file.path, file.label) for file in one.files] == [(file.path, file.label) for file in other.files]
    assert {file.split for file in one.files} == {""} and {file.split for file in other.files} == {"train"}


@pytest.mark.parametrize(
    "text, sentence",
    [
        (None, "labels.csv does not exist"),
        ("", "needs a first line with path, and labels .* found nothing"),
        ("photograph,labels\n", "needs a first line with path"),
        ("path,split\na,b\n", "needs a first line with path, and labels"),
        ("path,labels,colour\nA,even,red\n", "a column labels, and others that are not known: colour"),
        ("path,labels\nmissing.png,even\n", "line 2: there is no file missing.png"),
        ("path,labels\nA,even\nA,odd\n", "line 3: A is listed a second time, first in line 2"),
        ("path,even\nA,yes\n", "line 2: column even must be 0 or 1, found 'yes'"),
        ("path,labels,split\nA,even,later\n", "line 2: split must be train, val, test or empty, found 'later'"),
        ("path,even,odd\nA,1,0\nB,0,0\n", "no picture has the label odd"),
        ("path,labels\nA,even\nB,even\n", "every picture has the label even"),
        ("path,labels\nA,\nB,\n", "gives no picture a label"),
        ("path,labels\nA\n", "line 2: 2 columns were expected"),
        ("path,labels\n", "lists no picture"),
        ("path,labels\nA,even\nB,\n", "Class even .* needs at least 4 different pictures .* has 1"),
    ],
)
def test_what_cannot_be_understood_is_one_sentence(text, sentence, digits, tmp_path, capsys):
    pictures = [path.relative_to(digits).as_posix() for path in sorted((digits / "2").iterdir())]
    if text is not None:
        text = text.replace("\nA", f"\n{pictures[0]}").replace("\nB", f"\n{pictures[1]}")
        (tmp_path / "labels.csv").write_text(text)
    assert (
        cli.main(
            [
                "finetune",
                str(digits),
                "--labels",
                str(tmp_path / "labels.csv"),
                "--model",
                "lenet5",
                "--output",
                str(tmp_path / "run"),
            ]
        )
        == 2
    )
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("zoo: "))
    assert re.search(sentence, line.replace(pictures[0], "A"))


def test_measures_match_hand_computed_numbers():
    """Class a: scores .9 .8 .7 .1 for truths 1 0 1 0, so precision 1 and 2/3; class b: all found, none wrong; c: nowhere."""
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    scores = label_metrics(labels, np.array([[0.9, 0.2, 0], [0.8, 0.6, 0], [0.7, 0.7, 0], [0.1, 0.3, 0]]), ["a", "b", "c"])
    assert [row["average_precision"] for row in scores["classes"]] == [pytest.approx((1 + 2 / 3) / 2), 1.0, None]
    assert scores["mean_average_precision"] == pytest.approx(11 / 12)
    assert [row["f1"] for row in scores["classes"]] == [pytest.approx(0.8), 1.0, None]
    assert scores["macro_f1"] == pytest.approx(0.6) and scores["micro_f1"] == pytest.approx(8 / 9)
    assert scores["accuracy"] == 0.75
    for name in ("mean_average_precision", "macro_f1", "micro_f1"):
        low, high = scores[f"{name}_interval"]
        assert 0 <= low <= scores[name] <= high <= 1
    json.dumps(scores, allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_measures_match_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels = rng.random((80, 4)) < 0.3
    guesses = np.round((0.6 * rng.random((80, 4)) + 0.4 * labels), 1)  # rounded: equal scores occur
    scores = label_metrics(labels, guesses, list("abcd"))
    assert scores["mean_average_precision"] == pytest.approx(reference.average_precision_score(labels, guesses))
    for average in ("macro", "micro"):
        assert scores[f"{average}_f1"] == pytest.approx(
            reference.f1_score(labels, guesses > 0.5, average=average, zero_division=0)
        )
    assert scores["accuracy"] == pytest.approx(reference.accuracy_score(labels, guesses > 0.5))
    assert average_precision(labels[:, 0], np.zeros(80)) == pytest.approx(labels[:, 0].mean())
