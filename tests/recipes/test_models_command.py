"""`zoo models` and `zoo describe`."""

import csv
import dataclasses
import io
import json
import subprocess
import sys

import pytest
from helpers import ROOT

import zoo
from recipes import cli
from zoo import analysis, facts
from zoo.weights import catalog
from zoo.weights.catalog.entry import Entry


@pytest.fixture
def zoo_command(capsys, monkeypatch):
    monkeypatch.setattr("recipes.compute.runtime.start", lambda seed: None)  # no test process becomes deterministic by the way

    def command(*arguments):
        status = cli.main(arguments)
        return status, *capsys.readouterr()

    return command


def test_a_row_for_each_set_of_weights(zoo_command):
    status, out, _ = zoo_command("models")
    header, *lines = out.splitlines()
    assert status == 0
    assert header.split() == [
        "model",
        "variant",
        "weights",
        "parameters",
        "multiply-adds",
        "input",
        "top-1",
        "stages",
        "(stride:channels)",
    ]
    named = [entry.tag for model in zoo.MODELS for entry in catalog.entries(model)]
    assert [line.split()[2] for line in lines if line.split()[2] != "-"] == named
    assert {line.split()[0] for line in lines} == set(zoo.MODELS)
    row = next(line for line in lines if line.startswith("resnet50 ") and "imagenet_torchvision " in line)
    assert row.split() == [
        "resnet50",
        "torch",
        "imagenet_torchvision",
        "25,610,152",
        "4.09",
        "G",
        "224",
        "×",
        "224",
        "×",
        "3",
        "76.13",
        "4:256",
        "8:512",
        "16:1024",
        "32:2048",
        "2048",
    ]
    assert "?" not in out, "run `python -m zoo.facts`"
    assert len({line.index(" × ") for line in lines if "224 × 224" in line}) == 1  # aligned


def test_a_pattern_chooses_models(zoo_command):
    _, out, _ = zoo_command("models", "mobilenet_v?")
    assert {line.split()[0] for line in out.splitlines()[1:]} >= {"mobilenet_v2"}
    assert "mobilenet " not in out
    status, out, err = zoo_command("models", "mobile")
    assert status == 2 and out == ""
    assert err == "zoo: No model matches 'mobile': `zoo models` lists all; patterns are like 'resnet*'.\n"


def test_json_has_all_that_is_known(zoo_command):
    _, out, _ = zoo_command("models", "--json")
    records = json.loads(out)
    for entry in (entry for model in zoo.MODELS for entry in catalog.entries(model)):
        known = json.loads(json.dumps(dataclasses.asdict(entry)))
        record = next(r for r in records if (r["model"], r["tag"], r["options"]) == (entry.model, entry.tag, known["options"]))
        assert known.items() <= record.items()
        assert record["crop"] == pytest.approx(entry.crop)
        assert record["multiply_adds"] == facts.of(entry).multiply_adds
        assert record["stages"] == [dataclasses.asdict(stage) for stage in facts.of(entry).stages]


def test_csv_has_the_same_fields(zoo_command):
    _, out, _ = zoo_command("models", "lenet5", "--csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert list(row) == [*(field.name for field in dataclasses.fields(Entry)), "crop", "multiply_adds", "stages"]
    assert row["parameters"] == "61706" and row["top5"] == "" and row["input_shape"] == "32x32x1"
    assert row["stages"] == "stage1=2:6 stage2=4:16 pre_logits=84"
    _, out, _ = zoo_command("models", "mobilenet", "--csv")
    assert {row["options"] for row in csv.DictReader(io.StringIO(out))} >= {"alpha=0.25", "alpha=1.0"}
    assert zoo_command("models", "--csv", "--json")[2] == "zoo: Choose one of --json and --csv.\n"


def test_variants_without_weights_are_listed_too(zoo_command, monkeypatch):
    monkeypatch.setattr(catalog, "ENTRIES", [entry for entry in catalog.ENTRIES if entry.model != "lenet5"])
    _, out, _ = zoo_command("models", "lenet5")
    assert out.splitlines()[1].split()[:4] == ["lenet5", "keras", "-", "61,706"]
    (record,) = json.loads(zoo_command("models", "lenet5", "--json")[1])
    assert record["tag"] is record["url"] is record["top1"] is record["crop"] is None
    assert record["multiply_adds"] == 416_520 and record["input_shape"] == [32, 32, 1]
    assert zoo_command("models", "lenet5", "--csv")[0] == 0


def test_an_entry_younger_than_the_facts(zoo_command, monkeypatch):
    monkeypatch.setattr(facts, "read", lambda: ())
    _, out, _ = zoo_command("models", "lenet5")
    assert out.splitlines()[1].split() == ["lenet5", "keras", "mnist", "61,706", "?", "32", "×", "32", "×", "1", "98.71"]
    assert json.loads(zoo_command("models", "lenet5", "--json")[1])[0]["stages"] is None


def test_describe_prints_layers_stages_and_weights(zoo_command):
    status, out, _ = zoo_command("describe", "lenet5")
    layers, stages, weights = out.split("\n\n")[1:]
    assert status == 0
    assert out.splitlines()[0] == "lenet5, variant keras of keras, input 32 × 32 × 1"
    assert layers.splitlines() == analysis.table(zoo.lenet5())
    assert [line.split() for line in stages.splitlines()[1:3]] == [
        ["stage1", *"14 × 14 × 6".split(), "6", "2", "2.5"],
        ["stage2", *"5 × 5 × 16".split(), "16", "4", "7.5"],
    ]
    assert weights.splitlines()[1].split()[:3] == ["lenet5", "keras", "mnist"]


@pytest.mark.slow
def test_describe_with_options(zoo_command):
    _, out, _ = zoo_command("describe", "mobilenet_v2", "--alpha", "0.35", "--image-size", "65", "--variant", "keras")
    assert out.startswith("mobilenet_v2, variant keras of keras, torch, timm, input 65 × 65 × 3\n")
    assert next(line for line in out.splitlines() if line.startswith("total")).split()[1] == "1,691,208"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["lenet"], "There is no model 'lenet': choose lenet5; "),
        (["lenet5", "--alpha", "0.5"], "--alpha does not apply to lenet5: only the MobileNets have a width multiplier."),
        (["lenet5", "--variant", "torch"], "lenet5 has the variants keras, found 'torch'."),
        (["lenet5", "--image-size", "8"], "lenet5: height and width must be 16 or more, found (8, 8, 1)."),
    ],
)
@pytest.mark.slow
def test_describe_tells_what_is_wrong(zoo_command, arguments, message):
    status, out, err = zoo_command("describe", *arguments)
    assert status == 2 and out == ""
    assert err.startswith(f"zoo: {message}") and err.count("\n") == 1


@pytest.mark.parametrize("command", ["models", "describe"])
def test_help_imports_nothing_heavy(command):
    code = f"""
import sys
from recipes import cli
try:
    cli.main(["{command}", "--help"])
except SystemExit as stop:
    assert not stop.code
assert not {{"zoo", "keras", "numpy", "tensorflow"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"usage: zoo {command}" in done.stdout


@pytest.mark.slow
def test_nobody_reads_on():
    """`zoo models | head` ends without a word."""
    code = (
        "from recipes import cli; from recipes.compute import runtime; "
        "runtime.start = lambda seed: None; raise SystemExit(cli.main(['models']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = [line for line in process.stderr.read().decode().splitlines() if "Traceback" in line or "Broken" in line]
        assert process.wait(60) == 0 and errors == []
