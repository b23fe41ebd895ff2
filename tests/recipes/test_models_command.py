"""`zoo models` and `zoo describe`."""

import csv
import dataclasses
import inspect
import io
import json
import re
import subprocess
import sys

import pytest
from helpers import ROOT

import zoo
from recipes import cli, models
from zoo import analysis, facts
from zoo.files import cache_folder
from zoo.weights import catalog
from zoo.weights.catalog import recommended
from zoo.weights.catalog.entry import Entry

COSTS = ("parameters", "multiply-adds", "input", "top-1")


@pytest.fixture
def zoo_command(capsys, monkeypatch):
    monkeypatch.setattr("recipes.compute.runtime.start", lambda seed: None)  # no test process becomes deterministic by the way

    def command(*arguments):
        status = cli.main(arguments)
        return status, *capsys.readouterr()

    return command


def cells(line):
    """The cells of an aligned line, which are two spaces apart."""
    return re.split(r"  +", line)


def test_a_row_for_each_builder(zoo_command):
    status, out, _ = zoo_command("models")
    header, *lines = out.splitlines()
    assert status == 0
    assert cells(header) == ["model", *COSTS, "weights", "files", "licences"]
    assert [cells(line)[0] for line in lines] == list(zoo.MODELS)
    assert "?" not in out, "run `python -m zoo.facts`"
    rows = {cells(line)[0]: cells(line)[1:] for line in lines}
    # weights="default", which is not the most accurate file: that of Facebook, with 81.15 %, is not for commercial use.
    licenses = "MIT, BSD-3-Clause, Apache-2.0, CC-BY-NC-4.0"
    assert rows["resnet50"][1:] == ["4.09 G", "224 × 224 × 3", "80.86", "imagenet_torchvision_v2", "to fetch", licenses]
    # Of width 1, as the builder is without options: 76.5 % is that of width 1.4.
    assert rows["mobilenet_v2"][:4] == ["3,538,984", "301 M", "224 × 224 × 3", "72.94"]
    # What is here need not be what is most accurate.
    assert rows["efficientnet_lite0"][3:] == ["75.48", "imagenet_timm_ra", "here: imagenet", "Apache-2.0"]
    assert rows["lenet5"] == ["61,706", "417 k", "32 × 32 × 1", "98.71", "mnist", "here: mnist", "Apache-2.0"]
    assert rows["inception_v1"] == ["6,998,552", "1.58 G", "224 × 224 × 3", "-", "-"]  # nobody publishes any


@pytest.mark.parametrize("model", zoo.MODELS)
def test_the_row_of_a_builder_is_that_of_its_default_weights_or_of_the_best_that_must_be_named(model):
    row = models.most_accurate(model)
    options = {"alpha": 1.0} if "alpha" in inspect.signature(zoo.MODELS[model]).parameters else {}
    best = catalog.best(model, options, None)
    if best is None:  # no default: none is published, or all forbid commercial use
        top1, tag = max([(entry.top1, entry.tag) for entry in catalog.entries(model)], default=(None, None))
    else:
        top1, tag = best.top1, best.tag
    assert (row["tag"], row["top1"]) == (tag, top1)


def test_the_numbers_of_restricted_weights_are_shown_where_there_are_no_others(monkeypatch):
    entry = dataclasses.replace(catalog.find("lenet5", "mnist", {}), license="CC-BY-NC-4.0")
    monkeypatch.setattr(catalog, "ENTRIES", [entry])
    assert models.most_accurate("lenet5")["top1"] == entry.top1
    assert models.overview(["lenet5"])[1].endswith("mnist    here: mnist  CC-BY-NC-4.0")


def test_a_file_in_the_cache_is_here(zoo_command):
    entry = catalog.find("vgg16", "imagenet_torchvision", {})
    target = cache_folder("weights") / entry.file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch()
    try:
        assert "here: imagenet_torchvision" in zoo_command("models", "vgg16")[1]
        out = zoo_command("models", "vgg16", "--weights")[1]
        assert [("here" in cells(line), "to fetch" in cells(line)) for line in out.splitlines()[1:]] == [
            (False, True),
            (True, False),
            *[(False, True)] * (len(catalog.entries("vgg16")) - 2),
        ]
    finally:
        target.unlink()


def test_a_few_are_recommended_for_each_budget(zoo_command):
    header, *lines = map(cells, zoo_command("models", "--recommended")[1].splitlines())
    assert header == ["budget", "model", "weights", *COSTS, "file", "licence", "why"]
    assert list(dict.fromkeys(line[0] for line in lines)) == ["tiny CPU", "small CPU", "medium", "small GPU", "large GPU"]
    assert all(re.search(r"\S \(.+\)$", line[-1]) for line in lines)  # why, and who says so
    record, *_ = json.loads(zoo_command("models", "efficientnet_lite0", "--recommended", "--json")[1])
    assert (record["budget"], record["model"], record["tag"], record["here"]) == (
        *("tiny CPU", "efficientnet_lite0", "imagenet"),
        True,
    )
    assert zoo_command("models", "vgg*", "--recommended")[0] == 2


@pytest.mark.parametrize("one", recommended.RECOMMENDED, ids=lambda one: f"{one.model}-{one.tag}")
def test_what_is_recommended_exists_keeps_to_its_budget_and_may_be_sold(one):
    assert one.entry.commercial and one.reason and one.source
    assert (
        one.entry.top1 if one.entry.num_classes else one.model.startswith("dinov2")
    )  # of what has no classifier, a linear one's
    assert facts.of(one.entry).multiply_adds <= recommended.TIERS[one.tier]


@pytest.mark.parametrize(
    "tier, model", [("tiny CPU", "hgnetv2_b1"), ("small CPU", "efficientnet_b1"), ("medium", "tiny_vit_21m")]
)
def test_what_is_called_the_most_accurate_of_its_tier_is(tier, model):
    budgets = list(recommended.TIERS.values())
    most = recommended.TIERS[tier]
    least = max([budget for budget in budgets if budget < most], default=0)
    usable = [entry for entry in catalog.ENTRIES if entry.commercial and entry.dataset == "imagenet" and entry.top1]
    best = max((entry for entry in usable if least < facts.of(entry).multiply_adds <= most), key=lambda entry: entry.top1)
    assert best.model == model
    (one,) = [one for one in recommended.RECOMMENDED if one.entry == best]
    assert one.tier == tier and one.reason.startswith("the most accurate of its tier")


def test_a_row_for_each_set_of_weights(zoo_command):
    status, out, _ = zoo_command("models", "--weights")
    header, *lines = out.splitlines()
    assert status == 0
    assert cells(header) == ["model", "variant", "weights", *COSTS, "file", "licence", "stages (stride:channels)"]
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
        "to",
        "fetch",
        "BSD-3-Clause",
        "4:256",
        "8:512",
        "16:1024",
        "32:2048",
        "2048",
    ]
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
    assert list(row) == [*(field.name for field in dataclasses.fields(Entry)), "crop", "multiply_adds", "stages", "here"]
    assert row["parameters"] == "61706" and row["top5"] == "" and row["input_shape"] == "32x32x1"
    assert row["stages"] == "stage1=2:6 stage2=4:16 pre_logits=84"
    _, out, _ = zoo_command("models", "mobilenet", "--csv")
    assert {row["options"] for row in csv.DictReader(io.StringIO(out))} >= {"alpha=0.25", "alpha=1.0"}
    assert zoo_command("models", "--csv", "--json")[2] == "zoo: Choose one of --json and --csv.\n"
    assert zoo_command("models", "--weights", "--recommended")[2] == "zoo: Choose one of --weights and --recommended.\n"


def test_variants_without_weights_are_listed_too(zoo_command, monkeypatch):
    monkeypatch.setattr(catalog, "ENTRIES", [entry for entry in catalog.ENTRIES if entry.model != "lenet5"])
    _, out, _ = zoo_command("models", "lenet5", "--weights")
    assert cells(out.splitlines()[1])[:4] == ["lenet5", "keras", "-", "61,706"]
    (record,) = json.loads(zoo_command("models", "lenet5", "--json")[1])
    assert record["tag"] is record["url"] is record["top1"] is record["crop"] is None
    assert record["multiply_adds"] == 416_520 and record["input_shape"] == [32, 32, 1]
    assert zoo_command("models", "lenet5", "--csv")[0] == 0


def test_an_entry_younger_than_the_facts(zoo_command, monkeypatch):
    monkeypatch.setattr(facts, "read", lambda: ())
    _, out, _ = zoo_command("models", "lenet5", "--weights")
    assert cells(out.splitlines()[1])[:7] == ["lenet5", "keras", "mnist", "61,706", "?", "32 × 32 × 1", "98.71"]
    assert cells(zoo_command("models", "lenet5")[1].splitlines()[1])[:3] == ["lenet5", "61,706", "?"]
    assert json.loads(zoo_command("models", "lenet5", "--json")[1])[0]["stages"] is None


def test_describe_prints_costs_stages_weights_and_layers(zoo_command):
    status, out, _ = zoo_command("describe", "lenet5", "--layers")
    head, stages, weights, layers = out.split("\n\n")
    assert status == 0
    assert head.splitlines() == [
        "lenet5, input 32 × 32 × 1",
        "3 stages, 61,706 parameters, 416,520 multiply-adds",
    ]
    assert layers.splitlines() == analysis.table(zoo.lenet5())
    # By hand: 5 · 5 · 6 weights and 6 biases, each weight at 28 · 28 places; and so on.
    assert [line.split() for line in stages.splitlines()[1:]] == [
        ["stage1", *"14 × 14 × 6".split(), "156", "117,600", "6", "2", "2.5"],
        ["stage2", *"5 × 5 × 16".split(), "2,416", "240,000", "16", "4", "7.5"],
        ["pre_logits", "84", "58,284", "58,080", "all"],
        ["classifier", "850", "840"],
    ]
    assert zoo_command("describe", "lenet5")[1] == out.rpartition("\n\n")[0] + "\n"
    assert weights.splitlines()[1].split()[:3] == ["lenet5", "keras", "mnist"]


@pytest.mark.slow
def test_describe_with_options(zoo_command):
    _, out, _ = zoo_command("describe", "mobilenet_v2", "--alpha", "0.35", "--image-size", "65", "--variant", "keras")
    assert out.startswith("mobilenet_v2, input 65 × 65 × 3, built as in keras (--variant: torch, timm)\n")
    assert ", 1,691,208 parameters, " in out.splitlines()[1]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["lenet"], "There is no model 'lenet': choose lenet5; "),
        (
            ["lenet5", "--alpha", "0.5"],
            "--alpha does not apply to lenet5: only MobileNet V1 to V3 have a width multiplier.",
        ),
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
assert not {{"zoo.api", "keras", "numpy", "tensorflow"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"usage: zoo {command}" in done.stdout


@pytest.mark.parametrize("flags", [[], ["--weights"], ["--recommended", "--json"], ["resnet*", "--csv"]], ids=" ".join)
def test_models_are_listed_without_keras(flags):
    """Nor is NumPy imported: what takes long to import is what the answer would wait for."""
    heavy = {"keras", "tensorflow", "jax", "torch", "numpy", "h5py", "PIL"}
    code = (
        f"import sys; from recipes import cli; assert cli.main({['models', *flags]}) == 0; "
        f"print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "[]\n") and done.stdout.count("\n") > 5


def test_nobody_reads_on():
    """`zoo models | head` ends without a word."""
    code = "from recipes import cli; raise SystemExit(cli.main(['models']))"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = [line for line in process.stderr.read().decode().splitlines() if "Traceback" in line or "Broken" in line]
        assert process.wait(60) == 0 and errors == []
