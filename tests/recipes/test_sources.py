"""Commands on what is no folder: a table with groups and weights, an archive."""

import csv
import json
import zipfile

import numpy as np
import pytest
from helpers import few_digits

from recipes import cli, rank
from recipes.settings.rank import Ranking


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table beside 24 pictures of each of three digits, in bursts of three; those of a 0 count four times."""
    folder = few_digits(tmp_path_factory.mktemp("table"), 24, classes=3)
    lines = ["path,label,burst,weight"]
    for label in sorted(folder.iterdir()):
        for i, path in enumerate(sorted(label.iterdir())):
            lines.append(
                f"{path.relative_to(folder).as_posix()},{label.name},{label.name}{i // 3},{4 if label.name == '0' else 1}"
            )
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def run(output, *arguments):
    given = ["--model", "lenet5", "--strategy", "small", "--mirror", "no", "--output", output]
    assert cli.main([str(one) for one in ("finetune", *arguments, *given)]) == 0
    with open(output / "files.csv", newline="") as file:
        return json.loads((output / "result.json").read_text()), list(csv.DictReader(file))


@pytest.mark.slow
def test_a_run_on_a_table_keeps_groups_together_and_counts_by_weights(table, tmp_path, capsys):
    result, rows = run(tmp_path / "run", table, "--groups", "burst", "--folds", "3", "--columns", "label=label")
    out = capsys.readouterr().out
    assert "Groups by the column burst, which stay together: 24." in out and "with weights from 1 to 4" in out
    assert "Each image counts by its weight." in out
    assert result["groups"] == 24 and result["weights"] == [1, 4] and result["data"] == str(table.resolve())
    places = {}
    for row in rows:
        places.setdefault(row["group"], set()).add(row["split"])
    assert len(places) == 24 and all(len(parts) == 1 for parts in places.values())
    for part, measured in result["metrics"].items():
        own = [row for row in rows if row["split"] == part]
        weights = np.array([float(row["weight"]) for row in own])
        right = np.array([row["prediction"] == row["label"] for row in own])
        assert measured["accuracy"] == pytest.approx(np.average(right, weights=weights)) and measured["images"] == len(own)
        assert measured["effective_images"] == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Images count by their weights, 1 to 4" in page and "of the weight of" in page
    assert "--groups burst" in result["command"] and "--columns label=label" in result["command"]
    recipe = str(tmp_path / "run" / "recipe.json")
    assert cli.main(["finetune", "--recipe", recipe, str(table), "--output", str(tmp_path / "again")]) == 0
    again = json.loads((tmp_path / "again" / "result.json").read_text())
    assert again["metrics"] == result["metrics"] and again["repeats"] == result["repeats"]


@pytest.mark.slow
def test_weights_that_are_all_the_same_are_none(table, tmp_path):
    same = table.with_name("same.csv")
    lines = [line.rsplit(",", 1)[0] for line in table.read_text().splitlines()]
    same.write_text("\n".join([f"{lines[0]},weight", *(f"{line},7" for line in lines[1:])]))
    bare = table.with_name("bare.csv")
    bare.write_text("\n".join(lines))
    named = ("--columns", "label=label", "--augment", "none", "--head", "cosine")
    (one, _), (other, _) = run(tmp_path / "a", same, *named), run(tmp_path / "b", bare, *named)
    assert one["metrics"] == other["metrics"] and one["weights"] is None


@pytest.mark.slow
def test_weights_reach_training_by_steps(table, tmp_path):
    """A strategy that trains the network, with the balance of classes beside."""
    given = ["finetune", table, "--groups", "burst", "--columns", "label=label", "--epochs", "1", "--balance", "weights"]
    given += ["--model", "lenet5", "--mirror", "no", "--strategy", "scratch", "--output", tmp_path / "run"]
    assert cli.main([str(one) for one in given]) == 0
    (row,) = csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines())
    assert np.isfinite(float(row["loss"])) and np.isfinite(float(row["validation_loss"]))


@pytest.mark.slow
def test_an_archive_gives_the_numbers_of_its_folder(table, tmp_path):
    with zipfile.ZipFile(tmp_path / "digits.zip", "w") as file:
        for path in sorted(table.parent.glob("*/*.png")):
            file.write(path, f"digits/{path.relative_to(table.parent)}")
    (one, rows), (other, others) = run(tmp_path / "a", tmp_path / "digits.zip"), run(tmp_path / "b", table.parent)
    assert one["metrics"] == other["metrics"] and one["data"] == str((tmp_path / "digits.zip").resolve())
    kept = [row for row in others if not row["reason"]]
    assert [row["path"] for row in rows] == [row["path"] for row in kept]


@pytest.mark.slow
def test_a_search_and_a_ranking_take_a_table_of_one_label_each(table, tmp_path, capsys):
    given = ("--groups", "burst", "--columns", "label=label", "--output")
    more = ("--model", "lenet5", "--trials", "2", "--epochs", "2", "--mirror", "no")
    assert cli.main([str(one) for one in ("tune", table, *given, tmp_path / "tune", *more)]) == 0
    result = json.loads((tmp_path / "tune" / "best" / "result.json").read_text())
    assert result["groups"] == 24 and result["weights"] == [1, 4]
    with open(tmp_path / "tune" / "best" / "files.csv", newline="") as file:
        trained = {row["path"] for row in csv.DictReader(file) if row["split"] == "train"}
    ranked = rank.sampled(Ranking(table, groups="burst", columns="label=label"))
    assert {file.path for file in ranked.files} == trained
    tags = table.with_name("tags.csv")
    lines = table.read_text().splitlines()
    tags.write_text(
        "\n".join(["path,labels", *(line.split(",", 2)[0] + f",{i % 2 * 'odd'};third" for i, line in enumerate(lines[1:]))])
    )
    tags.write_text(tags.read_text().replace(";third", "", 40))
    assert cli.main(["rank", str(tags), "--models", "lenet5", "--output", str(tmp_path / "no")]) == 2
    assert "gives pictures any number of labels, and `zoo rank` needs one for each" in capsys.readouterr().err
