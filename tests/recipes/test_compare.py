"""`zoo compare` on runs whose answers are known, and on real ones."""

import csv
import json
import shutil

import commands
import numpy as np
import pytest
from helpers import digits_folder
from page import Page
from runs_on_paper import digest, picture, write_run
from scipy.stats import binomtest, permutation_test

from recipes import compare
from recipes.errors import UserError
from recipes.report import charts
from recipes.settings.compare import Comparison

ANTS, BEES = "ants", "bees"


def flipped(labels, *wrong):
    """Predictions: the labels, but for the places that are named."""
    return [{ANTS: BEES, BEES: ANTS}[label] if i in wrong else label for i, label in enumerate(labels)]


def compared(*folders, output=None) -> dict:
    return compare.run(Comparison(tuple(folders), output))


def refused(*folders, output=None) -> str:
    with pytest.raises(UserError) as error:
        compared(*folders, output=output)
    return str(error.value)


LABELS = [ANTS] * 60 + [BEES] * 40


def losses_of(seed, mean):
    """Losses of the 100 pictures, of which the mean is known."""
    drawn = np.random.default_rng(seed).gamma(2, size=len(LABELS))
    return (drawn / drawn.mean() * mean).tolist()


def test_losses_are_compared_picture_by_picture(tmp_path, capsys):
    """The same answers, surer or less sure: what accuracy cannot tell, the losses do."""
    base = np.array(losses_of(0, 0.4))
    each = {"a": base, "b": base + np.array(losses_of(1, 0.05)), "c": base + np.random.default_rng(2).normal(0, 0.02, 100)}
    folders = [write_run(tmp_path / name, LABELS, flipped(LABELS, 3), loss=values) for name, values in each.items()]
    worse, same = compared(*folders)["differences"]
    change = each["b"] - each["a"]
    assert worse["losses"]["values"] == pytest.approx([each["a"].mean(), each["b"].mean()])
    edges = [change.mean() + t * 2 * change.std() / 10 for t in (-1, 1)]
    assert worse["losses"]["interval"] == pytest.approx(edges, rel=0.05)
    expected = permutation_test(
        (each["c"], each["a"]), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples"
    )
    assert same["losses"]["p"] == pytest.approx(expected.pvalue, abs=0.03)
    assert (worse["outcome"], worse["losses"]["outcome"], same["losses"]["outcome"]) == ("not shown", "worse", "not shown")
    out = capsys.readouterr().out
    assert "By log-loss, which also counts how sure each answer is, a is better: a 0.400, b 0.450, difference +0.050 (" in out
    assert "By log-loss, which also counts how sure each answer is, no difference is shown: a 0.400, c 0." in out


def test_runs_without_losses_are_compared_without_them(tmp_path, capsys):
    old = write_run(tmp_path / "old", LABELS, LABELS)
    new = write_run(tmp_path / "new", LABELS, flipped(LABELS, 3), loss=losses_of(0, 0.4))
    (row,) = compared(new, old)["differences"]
    assert row["losses"] is None
    assert "Log-losses are not compared: files.csv of old is of an earlier version and has none; " in capsys.readouterr().out


@pytest.mark.parametrize("losses, said", [(losses_of(0, 0.5), "gives other numbers"), (["-1"] * 100, "has the loss -1")])
def test_losses_that_are_another_runs_are_refused(tmp_path, losses, said):
    scores = {"metrics": {"test": {"images": 100, "accuracy": 0.99, "loss": 0.4}}}
    run = write_run(tmp_path / "run", LABELS, flipped(LABELS, 3), loss=losses, more=scores)
    fine = write_run(tmp_path / "fine", LABELS, LABELS)
    assert said in refused(run, fine)


def test_a_difference_that_is_not_shown(tmp_path, capsys):
    a = write_run(tmp_path / "a", LABELS, flipped(LABELS, 0, 1, 2, 3, 4, 5))
    b = write_run(tmp_path / "b", LABELS, flipped(LABELS, 3, 4, 5, 60), settings={"seed": 1})
    found = compared(a, b)
    (row,) = found["differences"]
    assert (row["both_right"], row["only_baseline_right"], row["only_run_right"], row["neither_right"]) == (93, 1, 3, 3)
    assert row["p"] == row["p_adjusted"] == pytest.approx(binomtest(1, 4).pvalue) and row["outcome"] == "not shown"
    assert row["measures"]["accuracy"]["difference"] == pytest.approx(0.02)
    low, high = row["measures"]["accuracy"]["interval"]
    assert low < 0 < high and row["measures"]["balanced_accuracy"]["values"] == pytest.approx([0.95, (57 / 60 + 39 / 40) / 2])
    out = capsys.readouterr().out
    assert "No difference shown between a and b: accuracy 94.0 % and 96.0 % on the same 100 pictures of the test part, " in out
    assert f"difference 2.0 points (95 % interval {100 * low:.1f} to {100 * high:.1f}; McNemar p = 0.62)" in out
    assert f"up to {100 * high:.1f} points is not ruled out" in out
    assert "No difference is shown on any of the 2 classes by itself, after correction for 2 tests." in out
    assert "Their recipes differ in seed (0, 1)." in out and not list(tmp_path.glob("*/comparison*"))


def test_a_difference_that_is_shown_is_the_same_from_either_side(tmp_path, capsys):
    a = write_run(tmp_path / "a", LABELS, flipped(LABELS, 0))
    b = write_run(tmp_path / "b", LABELS, flipped(LABELS, *range(50, 75)))
    found, other = compared(a, b), compared(b, a)
    assert found["differences"][0]["outcome"] == "worse" and other["differences"][0]["outcome"] == "better"
    out = capsys.readouterr().out
    assert (
        out.count(
            "a is better than b: accuracy 99.0 % against 75.0 % on the same 100 pictures of the test part, by 24.0 points"
        )
        == 2
    )
    assert [round(edge, 9) for edge in found["differences"][0]["measures"]["accuracy"]["interval"]] == [
        -round(edge, 9) for edge in reversed(other["differences"][0]["measures"]["accuracy"]["interval"])
    ]
    classes = {one["name"]: one for one in found["differences"][0]["classes"]}
    assert classes[BEES]["shares"] == [1, 25 / 40] and classes[BEES]["outcome"] == "worse"
    assert classes[ANTS]["p"] == pytest.approx(binomtest(1, 11).pvalue)
    assert classes[BEES]["p_adjusted"] == pytest.approx(2 * binomtest(0, 15).pvalue)


def test_several_runs_are_corrected_for_their_number(tmp_path, capsys):
    a = write_run(tmp_path / "a", LABELS, flipped(LABELS, *range(6)))
    others = [write_run(tmp_path / name, LABELS, LABELS) for name in "bcd"]
    assert compared(a, others[0])["differences"][0]["outcome"] == "better"  # p = 0.031
    found = compared(a, *others)
    assert [row["p_adjusted"] for row in found["differences"]] == pytest.approx(3 * [3 * binomtest(0, 6).pvalue])
    assert {row["outcome"] for row in found["differences"]} == {"not shown"}
    assert [row["run"] for row in found["differences"]] == ["b", "c", "d"]
    out = capsys.readouterr().out
    assert "corrected for 3 comparisons). Nearly: the interval leaves 0 out, the test does not." in out
    assert all(out.count(f"{name} and a: No difference is shown on any of the 2 classes by itself") == 1 for name in "bcd")


def test_runs_that_know_other_classes_are_said_to_and_no_name_breaks_a_line(tmp_path, capsys):
    a = write_run(tmp_path / "a", LABELS, LABELS)
    b = write_run(tmp_path / "b\nzoo: all is well", LABELS, ["wasps", *LABELS[1:]], classes=[BEES, ANTS, "wasps"])
    compared(a, b)
    compared(b, a)
    out = capsys.readouterr().out
    assert "\nb\\nzoo: all is well knows also wasps, other than a: they do not answer quite the same question.\n" in out
    assert "\na does not know wasps, other than b\\nzoo: all is well: " in out and "\nzoo:" not in out


def test_a_chart_takes_a_name_for_no_formula_and_holds_any_letters(tmp_path, recwarn):
    """matplotlib reads what lies between two dollars, and warns of what its letters do not have, and of no room."""
    a = write_run(tmp_path / "a", LABELS, LABELS)
    others = [write_run(tmp_path / name, LABELS, LABELS) for name in (r"5$ \bad{$", "\u87fb\U0001f41c", 200 * "L")]
    compared(a, *others, output=tmp_path / "page")
    assert r"5$ \bad{$" in (tmp_path / "page" / "comparison.html").read_text() and not list(recwarn)
    assert [charts.named(path.name) for path in others[:2]] == [r"5\$ \bad{\$", r"\u87fb\U0001f41c"]
    assert charts.named(200 * "L") == f"{15 * 'L'}…{16 * 'L'}"


def test_uneven_classes_are_compared_by_what_their_runs_report(tmp_path, capsys):
    labels = [ANTS] * 180 + [BEES] * 20
    a = write_run(tmp_path / "a", labels, [ANTS] * 200, measures=["balanced_accuracy", "macro_f1", "accuracy"])
    b = write_run(tmp_path / "b", labels, flipped(labels, *range(20)), measures=["balanced_accuracy", "macro_f1", "accuracy"])
    found = compared(a, b)
    assert found["measure"] == "balanced_accuracy" and found["differences"][0]["outcome"] == "better"
    assert found["differences"][0]["measures"]["accuracy"]["difference"] == 0
    assert "b is better than a: balanced accuracy 94.4 % against 50.0 %" in capsys.readouterr().out


def test_a_group_counts_as_one(tmp_path, capsys):
    """Twelve wrong pictures, of two patients: as single pictures a difference, as two groups none."""
    labels, groups = LABELS, [f"p{i // 6}" for i in range(100)]
    a = write_run(tmp_path / "a", labels, flipped(labels, *range(12)), group=groups)
    b = write_run(tmp_path / "b", labels, labels, group=groups)
    (row,) = compared(a, b)["differences"]
    assert row["p"] == 0.5 and row["outcome"] == "not shown" and row["measures"]["accuracy"]["interval"][0] <= 0
    assert "100 pictures are 17 groups" in capsys.readouterr().out
    alone = [write_run(tmp_path / name, labels, flipped(labels, *wrong)) for name, wrong in (("c", range(12)), ("d", ()))]
    assert compared(*alone)["differences"][0]["outcome"] == "better"
    assert compared(alone[1], a)["differences"][0]["p"] == 0.5  # the one that knows groups decides
    assert "those of a count" in capsys.readouterr().out


def test_all_in_one_group_show_nothing(tmp_path):
    """Pictures of one patient: however many, they are one."""
    a = write_run(tmp_path / "a", LABELS, flipped(LABELS, *range(30)), group=["p1"] * 100)
    b = write_run(tmp_path / "b", LABELS, LABELS, group=["p1"] * 100)
    (row,) = compared(a, b)["differences"]
    low, high = row["measures"]["accuracy"]["interval"]
    assert row["p"] == 1 and row["outcome"] == "not shown" and low < 0 < 0.3 < high


def test_copies_are_a_group(tmp_path):
    digests = [digest(str(i // 2)) for i in range(100)]
    a = write_run(tmp_path / "a", LABELS, flipped(LABELS, *range(6)), digests=digests)
    b = write_run(tmp_path / "b", LABELS, LABELS, digests=digests)
    found = compared(a, b)
    assert found["groups"] == 50 and found["differences"][0]["p"] == 0.25


def test_weights_are_respected_and_others_ignored(tmp_path, capsys):
    weights = [3.0] * 10 + [1.0] * 90
    a = write_run(tmp_path / "a", LABELS, flipped(LABELS, *range(10)), weight=weights)
    b = write_run(tmp_path / "b", LABELS, LABELS, weight=weights)
    c = write_run(tmp_path / "c", LABELS, LABELS)
    assert compared(a, b)["differences"][0]["measures"]["accuracy"]["difference"] == pytest.approx(30 / 120)
    assert compared(a, c)["differences"][0]["measures"]["accuracy"]["difference"] == pytest.approx(0.1)
    assert "weigh the pictures differently" in capsys.readouterr().out


def test_any_number_of_labels(tmp_path):
    labels = ["ants;bees", "ants", "", "bees"] * 20
    guesses = ["ants", "ants", "", "bees"] * 20
    a = write_run(tmp_path / "a", labels, guesses, measures=["mean_average_precision", "macro_f1", "micro_f1"])
    b = write_run(tmp_path / "b", labels, labels, measures=["mean_average_precision", "macro_f1", "micro_f1"])
    found = compared(a, b)
    (row,) = found["differences"]
    assert found["measure"] == "macro_f1" and row["outcome"] == "better"
    assert row["measures"]["macro_f1"]["values"] == pytest.approx([(1 + 2 / 3) / 2, 1])  # bees: 20 of 40 found, none wrong
    assert row["measures"]["micro_f1"]["values"] == pytest.approx([2 * 60 / (80 + 60), 1])
    classes = {one["name"]: one for one in row["classes"]}
    assert classes[ANTS]["outcome"] == "not shown" and classes[BEES]["outcome"] == "better"
    assert classes[BEES]["shares"] == [60 / 80, 1]
    one = write_run(tmp_path / "one", [ANTS] * 80, [ANTS] * 80)
    assert "answer different questions" in refused(a, one)


@pytest.mark.fault(
    "Runs",
    "Two runs are compared that were tested on different pictures, or by different labels",
    "`zoo compare` refuses: how many pictures are in one alone, in the other alone and in both, and how many labels differ",
    "one run has an easier test, or was trained on what judges the other, and wins",
)
def test_other_pictures_are_refused(tmp_path):
    names = [digest(str(i)) for i in range(130)]
    a = write_run(tmp_path / "a", LABELS, LABELS, digests=names[:100])
    b = write_run(tmp_path / "b", LABELS, LABELS, digests=names[30:])
    said = refused(a, b)
    assert (
        "30 are in a alone, 30 in b alone, 70 in both" in said
        and "20 of the 70 that both have are labelled otherwise" not in said
    )
    labels = flipped(LABELS, 7, 8)
    c = write_run(tmp_path / "c", labels, labels, digests=names[:100])
    said = refused(a, c)
    assert (
        "different labels: 2 of the 100 that both have are labelled otherwise, such as test/" in said
        and "ants and bees" in said
    )
    evaluated = [
        write_run(tmp_path / name, LABELS, LABELS, digests=names[i : i + 100], part="holidays", recipe="evaluate")
        for i, name in enumerate("de")
    ]
    assert "1 are in d alone, 1 in e alone, 99 in both" in refused(*evaluated)
    assert "leaves out what its run was trained on" in refused(*evaluated)
    assert not list(tmp_path.glob("*/comparison*"))


def test_the_most_trustworthy_part_that_all_have(tmp_path, capsys):
    a = write_run(tmp_path / "a", LABELS, LABELS, part="validation")
    b = write_run(tmp_path / "b", LABELS, flipped(LABELS, 1), part="validation")
    assert compared(a, b)["part"] == "validation" and "a, b have no test part" in capsys.readouterr().out
    c = write_run(tmp_path / "c", LABELS, LABELS, part="test")
    assert "no part in common that they were not trained on" in refused(a, c)
    d = write_run(tmp_path / "d", LABELS, LABELS, part="train")
    assert "no part in common" in refused(d, write_run(tmp_path / "e", LABELS, LABELS, part="train"))


def test_an_evaluation_of_the_same_pictures(tmp_path):
    paths = [f"test/{i}.jpg" for i in range(100)]
    a = write_run(tmp_path / "a", LABELS, LABELS, paths=paths)
    b = write_run(tmp_path / "b", LABELS, flipped(LABELS, 3), paths=paths, part="", recipe="evaluate")
    assert compared(a, b)["part"] == "test" and compared(b, a)["differences"][0]["only_run_right"] == 1
    scores = {"images": 100, "accuracy": 1.0, "accuracy_interval": [0.95, 1.0]}
    more = {"part": "holidays", "metrics": {"holidays": scores}, "seed": None}
    c = write_run(tmp_path / "c", LABELS, LABELS, paths=paths, part="holidays", recipe="evaluate", more=more)
    found = compared(b, c)
    assert found["part"] == "evaluated" and found["runs"][1]["measures"]["accuracy"]["interval"] == [0.95, 1.0]


def test_the_page(tmp_path, capsys):
    data = tmp_path / "data"
    labels = [ANTS] * 10 + [BEES] * 10
    paths = [f"test/{label}/{i}.png" for i, label in enumerate(labels)]
    digests = [picture(data, path, i) for i, path in enumerate(paths)]
    (data / paths[1]).unlink()  # one is gone, and another lies in the place of a third
    picture(data, paths[2], 300)
    where = {"paths": paths, "digests": digests, "data": str(data)}
    a = write_run(tmp_path / "<i>a</i>" / "run", labels, flipped(labels, 0, 1, 2), **where)
    b = write_run(tmp_path / "b" / "run", labels, flipped(labels, 15), **where, settings={"weights": None})
    found = compared(a, b, output=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == json.loads(json.dumps(found))
    text = (tmp_path / "out" / "comparison.html").read_text()
    page = Page(text)
    assert "No difference shown between i>/run and b/run" in page.text("headline") and "<i>" not in text
    assert page.table("runs")[1][:2] == ["i>/run", "85.0 %"] and "Only b/run is right, not i>/run: 3" in page.text("pictures")
    shown = [source for source in page.images("src") if source.startswith("data:image/jpeg")]
    assert len(shown) == 2 and "2 of the pictures below are not shown" in page.text("pictures")
    assert str(tmp_path) not in text and "/home/me" not in text and "script" not in text
    with open(tmp_path / "out" / "answers.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows if row["same"] == "no"} == {paths[i] for i in (0, 1, 2, 15)} and len(rows) == 20
    assert [row["same"] for row in rows] == 4 * ["no"] + 16 * ["yes"]
    assert [rows[0][f"prediction of {name}"] for name in ("i>/run", "b/run")] == [BEES, ANTS]
    compared(a, b, output=tmp_path / "out")  # over its own
    (tmp_path / "out" / "mine.txt").touch()
    assert "holds files that no comparison wrote (mine.txt)" in refused(a, b, output=tmp_path / "out")
    assert "is a file" in refused(a, b, output=data / paths[0])


def search(folder, best, **how):
    """A search's folder, with its winner's run."""
    write_run(folder / "best", LABELS, best, **how)
    result = {
        "schema": 2,
        "recipe": "tune",
        "settings": {"scope": "heads", "tuner": "tpe"},
        "identity": {"pictures": "60 of abc"},
        "counts": {"trials": 12, "done": 9, "failed": 1, "scored": 9, "held_out": 50},
        "best": {
            "trial": 3,
            "loss": 0.25,
            "accuracy": 0.9,
            "accuracy_interval": [0.79, 0.96],
            "values": {"units": 64, "rate": 0.00123},
        },
        "winner": {"folder": "best"},
        "seconds": {"search": 10.0, "winner": 2.0},
        "seed": 0,
    }
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_two_searches(tmp_path, capsys):
    a, b = search(tmp_path / "a", flipped(LABELS, *range(20))), search(tmp_path / "b", LABELS)
    found = compared(a, b, output=tmp_path / "out")
    out = capsys.readouterr().out
    assert "a chose units 64, rate 0.00123." in out and "judged on the same pictures" in out
    assert "b is better than a: accuracy 100.0 % against 80.0 %" in out and found["differences"][0]["run"] == "b"
    page = Page((tmp_path / "out" / "comparison.html").read_text())
    assert page.table("searches")[1] == ["a", "heads", "tpe", "12", "9", "1", "loss 0.250", "90.0 % 79.0 – 96.0 %", "50", "12"]
    run = write_run(tmp_path / "run", LABELS, LABELS)
    assert compared(run, a)["differences"][0]["outcome"] == "worse"  # the winner stands for the search
    c = search(tmp_path / "c", LABELS, digests=[digest(str(i)) for i in range(100)])
    found = compared(a, c, output=tmp_path / "other")
    assert "The winners cannot be compared. a and c were measured on different pictures" in capsys.readouterr().out
    assert found["differences"] == [] and "cannot be compared" in (tmp_path / "other" / "comparison.html").read_text()
    shutil.rmtree(c / "best")
    assert "kept no run of its winner" in refused(run, c)


def test_repeats_with_the_same_seeds(tmp_path, capsys):
    def repeats(*scores):
        rows = [{"seed": i, "images": 20, "accuracy": score} for i, score in enumerate(scores)]
        return {"repeats": {"what": "3 seeds", "part": "test", "scores": rows, "mean": {"accuracy": float(np.mean(scores))}}}

    a = write_run(tmp_path / "a", LABELS, LABELS, more=repeats(0.8, 0.9, 0.7))
    b = write_run(tmp_path / "b", LABELS, LABELS, more=repeats(0.9, 0.9, 0.8))
    (row,) = compared(a, b)["repeats"]
    # Student's t by hand: differences 0.1, 0, 0.1; mean 1/15, deviation 0.0577, 4.303 standard errors
    assert row["measures"]["accuracy"]["difference"] == pytest.approx(1 / 15)
    assert row["measures"]["accuracy"]["interval"] == pytest.approx(
        [1 / 15 - 4.3027 * 0.057735 / 3**0.5, 1 / 15 + 4.3027 * 0.057735 / 3**0.5], abs=1e-4
    )
    assert "accuracy 80.0 % (a) and 86.7 % (b), difference +6.7 points" in capsys.readouterr().out
    assert compared(a, write_run(tmp_path / "c", LABELS, LABELS))["repeats"] == []


@pytest.mark.slow
def test_the_command_needs_no_keras(tmp_path):
    a, b = (write_run(tmp_path / name, LABELS, flipped(LABELS, i)) for i, name in enumerate("ab"))
    setup = "import sys; sys.modules['keras'] = sys.modules['tensorflow'] = None"
    done = commands.zoo("compare", "a", "b", "--output", "out", cwd=tmp_path, is_fresh=True, setup=setup)
    assert done.poll() == 0 and done.stdout.startswith("No difference shown between a and b") and not done.stderr
    assert "give two or more folders" in commands.refused("compare", a, cwd=tmp_path, is_fresh=True)


@pytest.mark.slow
def test_real_runs(tmp_path):
    """The same network with other seeds, and one that knows nothing, on digits with a test part of their own."""
    digits_folder(tmp_path / "data", 40)
    for path in sorted((tmp_path / "data" / "train").glob("*/*"))[::2]:
        place = tmp_path / "data" / "test" / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    same = ("finetune", "data", "--model", "lenet5", "--validation", "0.1")
    ways = {
        "tuned0": ("--strategy", "medium", "--epochs", "2"),
        "tuned1": ("--strategy", "medium", "--epochs", "2", "--seed", "1"),
        "scratch": ("--strategy", "scratch", "--epochs", "1", "--weights", "none"),
    }
    for name, how in ways.items():
        assert commands.zoo(*same, *how, "--output", name, cwd=tmp_path).poll() == 0
    done = commands.zoo("compare", *ways, "--output", "out", cwd=tmp_path)
    verdicts = done.stdout.splitlines()[:2]
    assert verdicts[0].startswith("No difference shown between tuned0 and tuned1: accuracy ")
    assert (
        verdicts[1].startswith("tuned0 is better than scratch: accuracy ")
        and "on the same 200 pictures of the test part" in verdicts[1]
    )
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    for run in found["runs"]:  # the answers of files.csv give the numbers of the report
        scores = json.loads((tmp_path / run["name"] / "result.json").read_text())["metrics"]["test"]
        for key, one in run["measures"].items():
            assert one["value"] == pytest.approx(scores[key]) and one["interval"] == scores[f"{key}_interval"]
    assert "not shown:" not in (tmp_path / "out" / "comparison.html").read_text()
