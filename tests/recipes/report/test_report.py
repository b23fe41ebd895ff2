import base64
import io
import json
import os

import numpy as np
import pytest
from page import Page
from PIL import Image

from recipes.console import say
from recipes.evaluation.metrics import metrics
from recipes.report.charts import page_plot, plain, use_share_axis
from recipes.report.counts import counts, samples
from recipes.report.measured import measured
from recipes.report.page import duration, latency, watt_hours
from recipes.report.run import render
from zoo.files import write_json

SECTIONS = "headline splits learning confusion classes mistakes calibration counts samples data about reproduce".split()
RESULT = """{
  "schema": 2, "recipe": "finetune", "data": "/pictures/hymenoptera", "seed": 7,
  "command": "zoo finetune ../data/hymenoptera --model mobilenet_v2",
  "counts": {"train": 244, "validation": 153, "test": 0, "left_out": 0},
  "strategy": {"name": "medium", "reason": "it was asked for", "freeze_until": "stage4", "phases": [
    {"name": "fine-tune", "freeze_until": "stage4", "epochs": 3, "learning_rate": 1e-4}]},
  "head": {"penalty": 0.01, "folds": 5, "path": [
    {"penalty": 1e-4, "accuracy": 0.9, "loss": 0.3}, {"penalty": 0.01, "accuracy": 0.95, "loss": 0.2}]},
  "seconds": {"total": 21.34, "scan": 0.42},
  "model": {"name": "mobilenet_v2", "parameters": 2260546, "trainable": 2562,
    "weights": "imagenet", "weights_sha256": "9f86d081"},
  "input": {"size": 224, "resize": 256, "channels": 3, "interpolation": "bilinear"},
  "findings": ["Two pictures are the same."],
  "versions": {"python": "3.11", "keras": "3.11.0"}
}"""


def example(classes=("ants", "bees"), splits=("train", "validation"), images=60, right=3.0, reasons=()):
    """Result, history and files of an invented run; `right` pulls predictions towards the truth."""
    classes, random = list(classes), np.random.default_rng(0)
    scores, files = {}, []
    for split in splits:
        labels = np.arange(max(images, len(classes))) % len(classes)
        logits = random.normal(size=(len(labels), len(classes))) + right * np.eye(len(classes))[labels]
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        scores[split] = metrics(labels, probabilities, classes)
        for i, (label, row) in enumerate(zip(labels, probabilities, strict=True)):
            prediction = classes[row.argmax()]
            files.append(file_row(f"{split}/{i}.jpg", split, classes[label], prediction, row.max()))
    files += [file_row(f"broken/{i}.jpg", "", "ants", "", "", reason) for i, reason in enumerate(reasons)]
    result = json.loads(RESULT) | {"classes": classes, "metrics": scores}
    result["class_counts"] = {"train": dict.fromkeys(classes, 122)}
    result["counts"]["left_out"] = len(reasons)
    history = [{"phase": "fine-tune", "epoch": i, "loss": 1 / (i + 1), "accuracy": None} for i in range(3)]
    return result, history, files


def file_row(path, split, label, prediction, probability, reason="") -> dict:
    keys = ("path", "split", "label", "prediction", "probability", "reason")
    return dict(zip(keys, (path, split, label, prediction, probability, reason), strict=True))


def gray(path: str) -> np.ndarray:
    return np.full((400, 300, 1), 128, np.uint8)


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def with_interval(value: float, interval: list[float]) -> str:
    """A number as the page shows it, its interval below."""
    return f"{percent(value)} {100 * interval[0]:.1f} – {percent(interval[1])}"


def page_of(run, picture=gray) -> Page:
    return Page(render(*run, picture))


@pytest.mark.slow
def test_the_page_is_reproducible_in_order_and_nothing_is_loaded_from_outside():
    run = example()
    run[0]["model"]["weights"] = "https://example.com/weights.h5"  # shown as text, never as a link
    text = render(*run, gray)
    page = Page(text)
    assert text == render(*run, gray)
    assert list(page.texts) == SECTIONS
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    for _, attrs in page.tags:
        assert attrs.get("href", "#").startswith("#") and attrs.get("src", "data:image/").startswith("data:image/")
    assert [attrs["href"][1:] for tag, attrs in page.tags if tag == "a"] == SECTIONS[1:]  # the list of contents
    assert "url(" not in text and "@import" not in text


def test_headline_says_what_was_measured_and_why_it_was_trained_so():
    result, history, files = example()
    scores = result["metrics"]["validation"]
    text = page_of((result, history, files)).text("headline")
    correct = sum(count for truth, taken, count in scores["confusion"] if truth == taken)
    low, high = map(percent, scores["accuracy_interval"])
    assert percent(scores["accuracy"]) in text
    assert f"accuracy on the validation images: {correct} of 60 are classified correctly" in text
    assert f"between {low} and {high}" in text
    assert "Strategy “medium”, because it was asked for: a linear head fitted to the frozen features; then fine-tune" in text
    assert "fine-tune for 3 epochs, learning rate 0.0001, frozen up to stage4." in text
    assert "Warning" not in text


@pytest.mark.slow
@pytest.mark.parametrize("splits", ["train validation test", "train validation", "train"])
def test_the_most_trustworthy_split_is_reported(splits):
    reported = splits.split()[-1]
    text = page_of(example(splits=splits.split())).text("headline")
    assert f"accuracy on the {reported} images" in text
    assert ("Warning: the model was trained on these very images" in text) == (reported == "train")


def test_tables_hold_the_numbers_of_the_result():
    result, history, files = example(right=1.0)
    page, scores = page_of((result, history, files)), result["metrics"]["validation"]
    rows = {row[0]: row[1:] for row in page.table("splits")}
    assert rows["measure"] == ["train", "validation"] and rows["images"] == ["60", "60"]
    for at, name in enumerate(("train", "validation")):
        m = result["metrics"][name]
        for words, key in (("accuracy", "accuracy"), ("balanced accuracy", "balanced_accuracy"), ("macro F1", "macro_f1")):
            assert rows[words][at] == with_interval(m[key], m[f"{key}_interval"])
        assert rows["loss"][at] == f"{m['loss']:.3f}"
        assert rows["calibration error"][at] == percent(m["calibration_error"])
    matrix = np.array([[int(cell) for cell in row[1:]] for row in page.table("confusion")[1:]])
    assert [[i, j, matrix[i, j]] for i, j in np.argwhere(matrix).tolist()] == scores["confusion"]
    weakest = sorted(scores["classes"], key=lambda row: row["recall"])
    for row, expected in zip(page.table("classes")[1:], weakest, strict=True):
        shown = [expected["name"]]
        for key in ("recall", "precision", "f1"):
            shown.append(with_interval(expected[key], expected[f"{key}_interval"]))
        assert row == [*shown, str(expected["images"]), "122"]
    for row, expected in zip(page.table("calibration")[1:], scores["calibration"], strict=True):
        each = [percent(expected[key]) for key in ("confidence", "accuracy")]
        assert row == [f"{expected['low']:.1f} – {expected['high']:.1f}", str(expected["images"]), *each]
    assert percent(scores["calibration_error"]) in page.text("calibration")


def test_classes_without_images_come_last_with_a_dash():
    result, history, files = example(("a", "b", "c"))
    probabilities = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0]])
    result["metrics"] = {"test": metrics(np.array([0, 1]), probabilities, result["classes"])}
    rows = page_of((result, history, [])).table("classes")[1:]
    assert [row[0] for row in rows] == ["b", "a", "c"]
    assert [row[1].partition(" %")[0] for row in rows] == ["0.0", "100.0", "–"]
    assert rows[2][1:5] == ["–", "–", "–", "0"]


def test_uneven_classes_and_repeats_are_in_the_headline():
    result, history, files = example(right=1.0)
    result |= {
        "measures": ["balanced_accuracy", "macro_f1", "accuracy"],
        "measures_reason": "the classes are uneven",
        "repeats": {
            "what": "5 folds of the training part",
            "part": "cross-validation",
            "mean": {"balanced_accuracy": 0.9, "macro_f1": 0.8, "accuracy": 0.7},
            "interval": {"balanced_accuracy": [0.85, 0.95], "macro_f1": [0.7, 0.9], "accuracy": [0.6, 0.8]},
        },
    }
    text = page_of((result, history, files)).text("headline")
    scores = result["metrics"]["validation"]
    low, high = (f"{100 * edge:.1f}" for edge in scores["balanced_accuracy_interval"])
    assert f"{percent(scores['balanced_accuracy'])} {low} – {high} %" in text
    assert "balanced accuracy on the validation images with its 95 % interval, because the classes are uneven." in text
    assert "balanced accuracy is 90.0 % (95 % interval of the mean: 85.0 – 95.0 %), of macro F1 is 80.0 %" in text


def test_worst_mistakes_are_the_surest_of_the_reported_split():
    result, history, _ = example()
    files = [file_row(f"v/{i}.jpg", "validation", "ants", "bees", 0.5 + i / 100) for i in range(30)]
    files.append(file_row("other split.jpg", "train", "ants", "bees", 1.0))
    files.append(file_row("right.jpg", "validation", "ants", "ants", 1.0))
    page = page_of((result, history, files), (asked := []).append)  # and no picture can be had
    assert asked[:24] == [f"v/{i}.jpg" for i in reversed(range(6, 30))]
    assert asked[24:] == ["other split.jpg"]  # the one training picture, as a sample of its class
    text = page.text("mistakes")
    assert "24 of 30" in text and text.count("no preview") == 24
    assert "is ants taken for bees79.0 % sure v/29.jpg" in text


def test_thumbnails_are_small_jpegs_of_one_or_three_channels():
    result, history, _ = example()
    files = [file_row(name, "validation", "ants", "bees", 0.9) for name in ("colour", "grey")]
    shapes = {"colour": (30, 500, 3), "grey": (400, 300, 1)}
    page = page_of((result, history, files), lambda path: np.full(shapes[path], 200, np.uint8))
    jpegs = [uri for uri in page.images("src") if uri.startswith("data:image/jpeg;base64,")]
    decoded = [Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) for uri in jpegs]
    assert [(image.format, image.mode, max(image.size)) for image in decoded] == [("JPEG", mode, 160) for mode in ("RGB", "L")]


def test_no_mistake_is_said_plainly():
    page = page_of(example([f"class {i}" for i in range(31)], right=60.0))
    assert "There is no mistake to show: every validation image" in page.text("mistakes")
    assert "No class was taken for another" in page.text("confusion")


@pytest.mark.slow
def test_curves_give_way_to_the_penalty_path_and_that_to_a_sentence():
    result, history, files = example(right=50.0)
    for row in history:
        row["accuracy"] = 0.5 + row["epoch"] / 10
    run = (result, history, files)

    def charts() -> list[str]:
        """The words of the charts, but those of calibration, which come last."""
        *found, last = [alt for alt in page_of(run).images("alt") if alt.startswith("Chart")]
        assert last.startswith("Chart of accuracy by confidence: of 60 images, ")
        return found

    assert charts() == [
        "Chart of loss by epoch: train from 1.000 to 0.333, best 0.333 at epoch 3.",
        "Chart of accuracy by epoch: train from 0.500 to 0.700, best 0.700 at epoch 3.",
    ]
    del history[1:]
    assert charts() == [
        "Chart of loss by penalty: cross-validated loss from 0.300 to 0.200, best 0.200 at penalty 0.01. Used: 0.01.",
        "Chart of accuracy by penalty: cross-validated accuracy from 0.900 to 0.950, best 0.950 at penalty 0.01. Used: 0.01.",
    ]
    assert "5-fold cross-validation" in page_of(run).text("learning")
    result["head"] = None
    assert charts() == []
    assert "no curve to draw" in page_of(run).text("learning")


@pytest.mark.slow
def test_left_out_files_are_listed_up_to_a_hundred():
    page = page_of(example(reasons=[f"reason {i}" for i in range(1234)]))
    rows = page.table("data")[1:]
    assert rows == [[f"broken/{i}.jpg", f"reason {i}"] for i in range(100)]
    assert "and 1,134 more, see files.csv" in page.text("data")
    assert "left out: 1,234" in page.text("data") and "Two pictures are the same." in page.text("data")
    assert "more, see" not in page_of(example(reasons=["one"])).text("data")


def test_reproducing_has_command_seed_versions_weights_and_seconds():
    text = page_of(example()).text("reproduce")
    for part in (
        "zoo finetune ../data/hymenoptera --model mobilenet_v2",
        "seed7 model",
        "mobilenet_v2: 2,260,546 parameters, 2,562 of them trained weightsimagenet weights SHA-2569f86d081",
        "python 3.11, keras 3.11.0",
        "total 21.3, scan 0.4",
        "224 × 224 pixels cut from 256, 3 channels, bilinear",
    ):
        assert part in text


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "&amp; " + 250 * "x"]


@pytest.mark.parametrize("classes", [2, 40])
def test_hostile_names_stay_text(classes):
    names = [*HOSTILE, *(f"class {i}" for i in range(classes))]
    result, history, files = example(names, right=0.0, reasons=HOSTILE)
    result |= dict.fromkeys(("command", "data", "recipe"), HOSTILE[0]) | {"findings": HOSTILE}
    for row in files:
        row["path"] += HOSTILE[0]
    page = page_of((result, history, files))
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert list(page.texts) == SECTIONS
    for name in HOSTILE:
        assert name in [row[0] for row in page.table("classes")]
        assert name in page.text("data")


@pytest.mark.fault(
    "Runs",
    "A class or file has control or bidirectional characters in its name",
    "they are written out, on the screen and in the page",
    "they hide text, turn it round, or command the terminal",
)
def test_characters_that_hide_or_turn_text_are_written_out(capsys):
    hidden = [*range(0x20), *range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF]
    names = [f"photo{chr(code)}gpj.exe" for code in hidden]
    result, history, files = example(["fair ä 名 🙂", *names], right=0.0, reasons=names)
    result |= {"findings": names, "command": names[0], "data": names[1]}
    for row in files:
        row["path"] += names[2]
    text = render(result, history, files, gray)
    assert not {*map(chr, hidden)} - {"\n"} & {*text}
    assert {row[0] for row in Page(text).table("classes")} >= {"fair ä 名 🙂", r"photo\u202egpj.exe", r"photo\x1bgpj.exe"}
    for name in names:
        say(f"{name} is a class")
    out = capsys.readouterr().out
    assert not {*map(chr, hidden)} - {"\n"} & {*out} and r"photo\u2066gpj.exe is a class" in out


@pytest.mark.slow
def test_result_and_page_grow_with_the_classes_not_with_their_square(tmp_path):
    sizes = []
    for classes in (500, 1000):
        result, history, files = example([f"class {i}" for i in range(classes)], right=0.0, images=classes)
        sizes.append(len(write_json(tmp_path / "result.json", result).read_bytes()))
        assert json.loads((tmp_path / "result.json").read_text()) == result
        assert sum(count for *_, count in result["metrics"]["train"]["confusion"]) == classes
        assert len(render(result, history, files, gray)) < 1_000 * classes
    assert sizes[0] < 1_000 * 500 and sizes[1] < 2.2 * sizes[0]


def test_names_that_are_not_utf8_can_be_written(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    result, history, files = example((name, "bees"), right=0.0, reasons=["cannot be read"])
    result["command"] += " " + name
    for row in files:
        row["path"] += name
    text = render(result, history, files, gray)
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    assert r"caf\udce9" in Page(text).text("reproduce")


@pytest.mark.slow
def test_a_thousand_classes_make_a_page_that_still_opens():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)  # compresses worst
    result, history, files = example([f"class {i}" for i in range(1000)], images=3000, right=4.0)
    text = render(result, history, files, lambda path: noise)
    page = Page(text)
    wrong = {(i, j): count for i, j, count in result["metrics"]["validation"]["confusion"] if i != j}
    assert len(text.encode()) < 3_000_000
    assert len(page.table("classes")) == 1001
    rows = page.table("confusion")[1:]
    assert len(rows) == 30
    assert [int(row[2]) for row in rows] == sorted(wrong.values(), reverse=True)[:30]
    for truth, prediction, count, of in rows:
        assert wrong[int(truth.split()[1]), int(prediction.split()[1])] == int(count)
        assert int(of) == 3


def test_a_run_without_validation_or_accuracy_is_drawn_without_warnings():
    result, history, files = example(splits=["train"])
    empty = [{"phase": row["phase"], "epoch": row["epoch"]} for row in history]
    assert len(page_of((result, empty, files)).texts) == len(SECTIONS)


def test_a_run_that_measured_nothing_still_has_a_page():
    result, history, _ = example()
    result["metrics"] = {}
    page = page_of((result, history, []))
    assert list(page.texts) == ["headline", "splits", "learning", "counts", "data", "about", "reproduce"]
    assert "Nothing was measured" in page.text("headline")


def test_counts_are_bars_of_one_scale_the_largest_class_first():
    shown = counts({"train": {"a": 10, "b": 40}, "test": {"a": 20, "b": 0}}, ["a", "b"])
    assert shown["counted_parts"] == ["train", "test"] and shown["more_classes"] == 0
    assert [row["name"] for row in shown["counted"]] == ["b", "a"]
    assert shown["counted"][1]["cells"] == [("train", 10, "0.2500"), ("test", 20, "0.5000")]
    names = [f"class {i:04}" for i in range(1000)]
    shown = counts({"train": {name: i for i, name in enumerate(names)}}, names)
    assert [row["name"] for row in shown["counted"]] == [*names[:-31:-1], *names[29::-1]] and shown["more_classes"] == 940


def test_samples_are_spread_over_the_training_pictures_of_each_class():
    files = [file_row(f"a/{i}.jpg", "train", "a", "a", 1) for i in range(100)]
    files += [file_row("both.jpg", "train", "a;b", "a", 1), file_row("b/held out.jpg", "test", "b", "b", 1)]
    rows = samples(files, ["b", "a", "none"], gray)
    assert [row["name"] for row in rows] == ["b", "a"]
    assert [one["path"] for one in rows[0]["pictures"]] == ["both.jpg"]
    assert [one["path"] for one in rows[1]["pictures"]] == [
        "a/0.jpg",
        "a/20.jpg",
        "a/40.jpg",
        "a/60.jpg",
        "a/80.jpg",
        "both.jpg",
    ]


def test_a_run_says_on_what_it_was_made_and_one_made_before_has_a_page():
    run = example()
    assert "machine" not in page_of(run).text("about")
    run[0].update(
        file_size=9_130_000,
        speed={"one": 0.0312, "many": 0.0041, "batch": 16},
        machine={"processor": "A <b>", "cores": 2, "memory": 8 * 2**30, "system": "Linux x86_64", "gpus": 1},
        energy={"method": "estimated", "watt_hours": 0.5, "watts": 12.0, "seconds": 90.0, "processor_seconds": 150.0},
    )
    run[0]["model"] |= {"license": "Apache-2.0", "citations": ["Sandler et al. 2018"]}
    text = page_of(run).text("about")
    for part in (
        "“ants”, “bees” in pictures like the 244",
        "licence of the weightsApache-2.0",
        "to citeSandler et al. 2018",
        "model.keras9.1 MB",
        "one picture31 ms",
        "16 at once4.1 ms each",
        'keras.models.load_model("model.keras")',
        "machineA <b>, 2 cores, 8 GiB of memory, 1 graphics card, Linux x86_64",
        "time21.3 s",
        "0.5 Wh, estimated: 2 min 30 s of busy cores at 12 W each",
        "the graphics cards are not in it",
    ):
        assert part in text, part
    run[0]["energy"] |= {"method": "measured", "watt_hours": 1234.0}
    assert "1.2 kWh, measured by the counters of the processor (RAPL)" in page_of(run).text("about")


def test_a_small_range_of_accuracies_does_not_fill_its_axis():
    for values, low, high in (
        ([0.95, 0.958], 0.8, 1.0),
        ([0.5, 0.508], 0.404, 0.604),
        ([0.1, 0.9], 0.06, 0.94),
        ([0, 0.01], 0, 0.2),
    ):
        _, axes = page_plot("epoch", "accuracy")
        use_share_axis(axes, np.array([*values, np.nan]))
        assert axes.get_ylim() == pytest.approx((low, high), abs=0.012)
    assert [plain(value) for value in (0.001, 0.00001, 1.0, 0.30000000000000004, 2500)] == [
        "0.001",
        "0.00001",
        "1",
        "0.3",
        "2500",
    ]


def test_a_dot_of_calibration_is_as_large_as_its_share(monkeypatch):
    sizes = []
    monkeypatch.setattr("matplotlib.axes.Axes.scatter", lambda self, x, y, s, **how: sizes.extend(s))
    probabilities = np.array([[0.95, 0.05]] * 142 + [[0.55, 0.45]])
    measured(metrics(np.zeros(143, int), probabilities, ["a", "b"]), ["a", "b"])
    assert sizes[1] / sizes[0] == pytest.approx(142)


def test_times_and_energies_have_no_more_digits_than_are_known():
    assert [latency(value) for value in (0.00312, 0.0999, 0.25, 2.04)] == ["3.1 ms", "100 ms", "250 ms", "2.0 s"]
    assert [duration(value) for value in (4.26, 59.9, 150, 7260)] == ["4.3 s", "1 min 0 s", "2 min 30 s", "2 h 1 min"]
    assert [watt_hours(value) for value in (0.0473, 5.04, 99.96, 1234, 123_400)] == [
        "0.047 Wh",
        "5 Wh",
        "100 Wh",
        "1.2 kWh",
        "123 kWh",
    ]
