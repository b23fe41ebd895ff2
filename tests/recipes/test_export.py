"""`zoo export`: what is written is run here by its own runtime, and compared with what `zoo predict` prints."""

import csv
import importlib.util
import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import browser
import commands
import numpy as np
import pytest
from helpers import ROOT, few_digits, pixels, python
from pages_exported import asked, dropped, ready, registry
from PIL import Image

from recipes import cli, export
from recipes.errors import UserError
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL
from recipes.formats.agreement import compare
from recipes.formats.answering import RUNTIMES
from recipes.formats.pictures import Row, held_out
from recipes.formats.table import FORMS
from recipes.settings.export import Exporting
from zoo.files import occupied

pytestmark = pytest.mark.slow
needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "tf2onnx"))), reason="onnx, onnxruntime or tf2onnx is missing"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run on pictures of digits, and the folder that holds both."""
    folder = tmp_path_factory.mktemp("export")
    few_digits(folder / "data", 40, classes=3)
    given = ["--model", "lenet5", "--strategy", "small", "--mirror", "no", "--output", folder / "run"]
    done = commands.zoo("finetune", folder / "data" / "train", *given)
    assert done.poll() == 0, done.stderr
    return folder


def pictures(made):
    """Paths of some pictures of the run."""
    return sorted((made / "data" / "train").rglob("*.png"))[::9]


def predicted(made, paths):
    """What `zoo predict` writes of pictures: `(pictures, classes)`, and which it calls unknown, `(pictures,)`."""
    table = made / "predicted.csv"
    done = commands.zoo("predict", made / "run", *paths, "--all-classes", "--csv", table)
    assert done.poll() == 0, done.stderr
    with open(table) as file:
        rows = list(csv.DictReader(file))
    shares = np.array([[float(row[f"probability_of_{name}"]) for name in "012"] for row in rows])
    return shares, np.array([row["unknown"] == "true" for row in rows])


def line(shares, is_unknown):
    """What the code of docs/export.md prints of an answer of classes "0", "1" and "2"."""
    return f"{shares.argmax()} {shares.max():.4f} {'unknown' if is_unknown else ''}"


def documented(made, forms, suffix):
    """Run the code of docs/export.md on `new.png` in the folder, and give what it prints for each form, a line each."""
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    section = re.search(r"^## From your own program\n(.*?)^## ", page, re.M | re.S)[1]
    given, framed, *asked, read = re.findall(r"```python\n(.*?)```", section, re.S)
    assert [name for name in FORMS if any(f"photos/{name}-any-size/" in one for one in asked)] == [*FORMS][:-1]
    lines = [given, *[framed] * (not suffix)]
    for name in forms:
        lines += [one for one in asked if f"photos/{name}-any-size/" in one] + [read]
    code = "".join(lines).replace("-any-size/", f"{suffix}/").replace("new.jpg", "new.png")
    return python(code, cwd=made, TF_CPP_MIN_LOG_LEVEL="3").splitlines()


@needs_onnx
def test_onnx_answers_as_predict_prints_and_says_what_it_was_compared_on(made):
    import onnxruntime

    plain = made / "runs" / "export" / "photos"
    done = commands.zoo("export", made / "run", "--to", "onnx", "saved_model", "--output", plain)
    assert done.poll() == 0 and not done.stderr, done.stderr
    session = onnxruntime.InferenceSession(plain / "onnx" / "model.onnx")
    facts = session.get_modelmeta().custom_metadata_map
    framing = json.loads((plain / "onnx" / "framing.json").read_text())
    assert json.loads(facts["framing"]) == framing and framing["size"] == framing["resize"] == 32
    classes = json.loads((plain / "onnx" / "classes.json").read_text())
    assert classes == json.loads(facts["classes"]) == ["0", "1", "2"]
    assert "EXIF" in facts["input"]
    paths = pictures(made)
    for number in range(6):  # what is no digit
        Image.fromarray(pixels(32, 32, seed=number)).save(made / f"noise{number}.png")
        paths.append(made / f"noise{number}.png")
    Image.open(paths[0]).resize((90, 47)).save(made / "new.png")
    paths.append(made / "new.png")
    shown = [np.array(Image.open(path).convert("L").resize((32, 32), Image.Resampling.BILINEAR)) for path in paths[:-1]]
    found, scores = session.run(None, {"image": np.stack(shown)[..., None].astype("float32")})
    (*expected, new), (*is_unknown, new_is_unknown) = predicted(made, paths)
    assert documented(made, ("onnx", "saved_model"), "") == [line(new, new_is_unknown)] * 2
    is_unknown, paths = np.array(is_unknown), paths[:-1]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [output.name for output in session.get_outputs()] == ["probabilities", "unknown_score"]
    assert scores.shape == (len(paths),) and is_unknown.any() and not is_unknown.all()
    assert np.array_equal(scores > float(facts["unknown_threshold"]), is_unknown)
    assert "third nearest" in facts["unknown_is"]
    for form in ("onnx", "saved_model"):
        values = json.loads((plain / form / "export.json").read_text())
        assert values["compared_on"] == "held-out pictures of the run"
        agreed, told = values["agreement"], values["unknown_score"]
        assert told["difference"] < 1e-4 and told["same"] == told["clear"] > 0
        assert agreed["difference"] < 1e-3 and agreed["same"] == agreed["clear"] > 0
        assert values["bytes"] > 0 and values["seconds"] > 0 and values["keras_seconds"] > 0
        assert form in done.stdout and f"{agreed['difference']:.2g}" in done.stdout
    (weights,) = (plain / "saved_model" / "saved_model" / "variables").glob("variables.data*")
    assert weights.stat().st_size < 1.2 * zipfile.ZipFile(made / "run" / "model.keras").getinfo("model.weights.h5").file_size


@needs_onnx
def test_pictures_of_any_size_answer_as_predict_prints(made, tmp_path):
    modules = {"onnx": "onnxruntime", "litert": "ai_edge_litert", "openvino": "openvino"}
    forms = [form for form, module in modules.items() if importlib.util.find_spec(module)]
    out = tmp_path / "runs" / "export" / "photos"
    given = ["export", made / "run", "--to", *forms, "--any-size", "--output", out]
    done = commands.zoo(*given, is_fresh=True, KERAS_BACKEND="torch")  # whatever the user computes on otherwise
    assert done.poll() == 0 and not done.stderr, done.stderr
    source, paths = Image.open(pictures(made)[0]).convert("L"), []
    for number, size in enumerate(
        ((32, 32), (64, 48), (300, 200), (31, 90), (20, 500), (47, 47), (640, 60), (100, 333), (1, 5), (900, 899))
    ):
        source.resize(size).save(tmp_path / f"{number}.png")
        paths.append(tmp_path / f"{number}.png")
    expected, is_unknown = predicted(made, paths)
    threshold = json.loads((out / "onnx-any-size" / "export.json").read_text())["facts"]["unknown_threshold"]
    for form in forms:
        ask = RUNTIMES[form](str(out / f"{form}-any-size" / FORMS[form].file))
        found = [ask(np.array(Image.open(path))[None, ..., None]) for path in paths]
        atol = 2e-3 if form == "openvino" else 1e-5  # a grey level differs here and there in OpenVINO's
        np.testing.assert_allclose(np.concatenate([answer for answer, _ in found]), expected, atol=atol, err_msg=form)
        assert np.array_equal(np.concatenate([score for _, score in found]) > threshold, is_unknown), form
    paths[1].rename(tmp_path / "new.png")
    assert documented(tmp_path, forms, "-any-size") == [line(expected[1], is_unknown[1])] * len(forms)


@needs_onnx
def test_a_page_answers_twenty_pictures_as_predict_prints(made, tmp_path):
    if (path := browser.program()) is None:
        pytest.skip("no Chromium here: install Debian's chromium, or set ZOO_TEST_CHROMIUM")
    given = ["export", made / "run", "--to", "html", "--any-size", "--output", tmp_path]
    done = commands.zoo(*given, npm_config_registry=registry())
    assert done.poll() == 0, done.stderr
    assert "open it in a browser" in done.stdout and "needs nothing of this" in (tmp_path / "MODEL_CARD.md").read_text()
    values = json.loads((tmp_path / "html" / "export.json").read_text())
    assert values["agreement"]["same"] == values["agreement"]["clear"] > 0 and values["agreement"]["limit"] == 1e-3
    paths = sorted((made / "data" / "train").rglob("*.png"))[::9][:14]
    colored = np.random.default_rng(0).integers(0, 256, (3, 4, 3)).astype("uint8")
    for number, size in enumerate(((32, 32), (90, 40), (300, 20), (31, 400), (200, 203), (7, 9))):
        paths.append(tmp_path / f"{number}.jpg")
        Image.fromarray(colored).resize(size, Image.Resampling.BICUBIC).save(paths[-1])
    expected, unknown = predicted(made, paths)
    with browser.started(path) as chromium:
        tab = ready(chromium, tmp_path / "html" / "index.html")
        found = dropped(tab, paths)
        told = asked(tab, [path.read_bytes() for path in paths])
        assert tab.complaints == []
    np.testing.assert_allclose([one["probabilities"] for one in told], expected, atol=1e-5)
    for one, row, is_unknown in zip(found, expected, unknown, strict=True):
        assert [name for name, _ in one["rows"]] == [str(i) for i in np.argsort(-row, kind="stable")]
        np.testing.assert_allclose([share for _, share in one["rows"]], np.sort(row)[::-1], atol=6e-5)
        assert one["unknown"] == is_unknown and one["map"] is None  # LeNet averages nothing


@needs_onnx
def test_int8_is_kept_for_its_accuracy_alone(made, tmp_path):
    given = ["export", made / "run", "--to", "onnx", "--precision", "int8", "--output", tmp_path / "out"]
    done = commands.zoo(*given, "--loss", "1")
    assert done.poll() == 0, done.stderr
    values = json.loads((tmp_path / "out" / "onnx-int8" / "export.json").read_text())
    with open(made / "run" / "files.csv") as file:
        held_out = [row for row in csv.DictReader(file) if row["split"] == "test"] or None
    for which in ("accuracy", "float32"):
        low, high = values[which]["interval"]
        assert low <= values[which]["accuracy"] <= high and values[which]["pictures"] == len(held_out)
    assert values["float32"]["accuracy"] == pytest.approx(np.mean([row["label"] == row["prediction"] for row in held_out]))
    spoil = """
import numpy, recipes.formats.agreement as a
a.ask = lambda f, p, x, _: a.Answers(numpy.eye(3)[[0] * len(x)], numpy.zeros(len(x)), 1.0, 1.0)
"""
    sentence = commands.refused(*given, setup=spoil)
    assert "loses" in sentence and "--loss 0.01" in sentence
    assert (tmp_path / "out" / "onnx-int8" / "model.onnx").exists()  # the one from before


@needs_onnx
@pytest.mark.fault(
    "Export",
    "a file that answers otherwise than Keras",
    "not kept, with a sentence; other forms are",
    "exported models that answer differently are the first complaint of users",
)
def test_what_answers_otherwise_is_not_kept(made, tmp_path):
    spoil = """
import recipes.formats.agreement as a
ask = a.ask
def turned(form, *rest):
    found = ask(form, *rest)
    return a.Answers(found.probabilities[:, ::-1], found.scores, 1.0, 1.0) if form == "onnx" else found
a.ask = turned
"""
    out = tmp_path / "out"
    done = commands.zoo("export", made / "run", "--to", "onnx", "saved_model", "--output", out, setup=spoil)
    assert done.poll() == 2 and "onnx does not answer as Keras does, and is not kept" in done.stderr
    assert [path.name for path in out.iterdir() if path.is_dir()] == ["saved_model"]
    assert "saved_model/saved_model" in (out / "MODEL_CARD.md").read_text()
    card = (made / "run" / "MODEL_CARD.md").read_text()
    assert card.count("## Exports") == 1 and "| `saved_model` | float32 |" in card and "| `onnx` |" not in card
    assert card.startswith("---") and "## Limits" in card  # and the rest is there
    spoil = "import recipes.formats.onnx_form as f, onnx; onnx.save = lambda model, path: open(path, 'wb').write(b'nothing')"
    assert "cannot be written as onnx" in commands.refused("export", made / "run", "--to", "onnx", "--output", out, setup=spoil)


@needs_onnx
def test_without_the_pictures_others_are_taken_and_it_is_said(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "run")
    path = tmp_path / "run" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": str(tmp_path / "gone")}))
    given = ["export", tmp_path / "run", "--to", "onnx", "--output", tmp_path / "out"]
    done = commands.zoo(*given)
    assert done.poll() == 0 and "crops of two photographs" in done.stderr
    done = commands.zoo(*given, "--images", made / "data")
    assert done.poll() == 0 and not done.stderr and "pictures of --images" in done.stdout
    assert "are where they were: bring the folder back" in commands.refused(*given, "--precision", "int8")
    lines = (tmp_path / "run" / "files.csv").read_text().splitlines(keepends=True)
    kept = [line for line in lines if ",test," not in line and ",validation," not in line]
    held = [line for line in lines if ",validation," in line][:7]
    (tmp_path / "run" / "files.csv").write_text("".join(kept + held))
    assert f"it has {len(kept) - 1} and 7: train on more" in commands.refused(*given, "--precision", "int8")


def test_accuracy_is_measured_on_both_parts_where_the_test_part_is_small():
    def parts(test, validation):
        found = [Row(Path(), part, "", "") for part in ["train"] + ["validation"] * validation + ["test"] * test]
        return Counter(row.split for row in held_out(found, 20))

    assert parts(20, 30) == {"test": 20}
    assert parts(19, 30) == {"test": 19, "validation": 30}
    assert parts(0, 30) == {"validation": 30}


def test_what_cannot_be_is_refused_in_a_sentence(made, tmp_path):
    run, out = made / "run", ["--output", tmp_path / "out"]
    gone = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *r: None if n == 'tf2onnx' else f(n, *r)"
    assert "pip install" in commands.refused("export", run, "--to", "onnx", *out, setup=gone)
    assert "no --precision int8" in commands.refused("export", run, "--to", "saved_model", "--precision", "int8", *out)
    assert "no finished run" in commands.refused("export", tmp_path, "--to", "saved_model", *out)
    assert "holds a run" in commands.refused("export", run, "--to", "saved_model", "--output", run)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    with occupied(tmp_path / "out" / ".owner"):
        assert "is being written by process" in commands.refused("export", run, "--to", "saved_model", *out)


def test_what_a_user_has_put_beside_a_network_is_not_replaced(tmp_path):
    given = Exporting(tmp_path / "run", to=("saved_model",), output=tmp_path)
    (tmp_path / ".zoo").touch()
    (tmp_path / "saved_model").mkdir()
    (mine := tmp_path / "saved_model" / "use.py").touch()
    with pytest.raises(UserError, match=r"holds what no export wrote \(use\.py\)"):
        export.run(given)
    mine.unlink()
    (tmp_path / "saved_model" / "export.json").touch()
    with pytest.raises(UserError, match="no finished run"):  # so far it comes
        export.run(given)


def test_pictures_without_labels_judge_no_accuracy(tmp_path):
    with pytest.raises(UserError, match="--images has no labels"):
        Exporting(tmp_path, to=("onnx",), precision="int8", images=("more",))


def test_answers_are_compared_by_probabilities_and_by_what_they_say():
    before = np.array([[0.6, 0.4], [0.50001, 0.49999], [0.1, 0.9]])
    assert compare(MULTI_CLASS, before, before + [[5e-4, -5e-4]], 1e-3).holds
    turned = np.array([[0.6, 0.4], [0.49999, 0.50001], [0.1, 0.9]])
    found = compare(MULTI_CLASS, before, turned, 1e-3)
    assert found.holds and (found.clear, found.same) == (2, 2)  # the second was no clear answer
    assert not compare(MULTI_CLASS, before, before[:, ::-1], 1e-3).holds
    assert not compare(MULTI_CLASS, before, before * np.nan, 1e-3).holds
    assert not compare(MULTI_CLASS, before, before[:2], 1e-3).holds
    assert not compare(MULTI_LABEL, before, before + 0.2, 1e-3).holds


def test_help_names_the_forms(capsys):
    assert cli.main(["export", "--help"]) == 0
    assert "saved_model" in capsys.readouterr().out
