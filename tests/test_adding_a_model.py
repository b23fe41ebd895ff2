"""docs/adding-a-model.md, followed to the letter in a copy of the package."""

import json
import re
import shutil

import house
import numpy as np
import pytest
from helpers import ROOT, python
from safetensors.numpy import save_file

PAGE = (ROOT / "docs" / "adding-a-model.md").read_text(encoding="utf-8")

CHECK = """
import json, runpy, sys
import numpy as np
import pytest
import zoo
model = zoo.tinynet(weights="example")
body, head = zoo.split(model, "stage1")
x = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("uint8")
print(json.dumps({
    "package": zoo.__file__, "parameters": model.count_params(), "stages": zoo.stages(model),
    "weights": model.origin.weights, "grey": zoo.tinynet(num_classes=3, input_shape=(31, 9, 1)).output_shape,
    "kernel": float(np.asarray(model.get_layer("predictions").kernel)[5, 3]),
    "rejoined": float(np.abs(np.asarray(head(body(x))) - np.asarray(model(x))).max()),
}))
sys.argv[1:] = ["tinynet"]
runpy.run_module("zoo.facts", run_name="__main__", alter_sys=True)  # as `python -m zoo.facts tinynet`
"""


def follow(root):
    """Write the page's files, and apply its changes to those that are there."""
    for name, code in re.findall(r"`(zoo/\S+\.py)`:\n\n```python\n(.*?)```", PAGE, re.S):
        assert not (root / name).exists()
        (root / name).write_text(code, encoding="utf-8")
    package, catalog = re.findall(r"```diff\n(.*?)```", PAGE, re.S)
    api = root / "zoo" / "api.py"
    text = _with_lines(api, package)
    api.write_text(text.replace("import keras\n", f"import keras\n{package.splitlines()[0][1:]}\n", 1), encoding="utf-8")
    init = root / "zoo" / "weights" / "catalog" / "__init__.py"
    init.write_text(_with_lines(init, catalog), encoding="utf-8")


def _with_lines(path, change):
    """A file's text with two lines more, each behind the one that the change names."""
    text = path.read_text(encoding="utf-8")
    added = re.findall(r"^ (.*)\n\+(.*)$", change, re.M)
    assert len(added) == 2
    for before, line in added:
        assert text.count(f"{before}\n") == 1
        text = text.replace(f"{before}\n", f"{before}\n{line}\n")
    return text


def weights(folder):
    """What PyTorch would write for the example."""
    rng, tensors = np.random.default_rng(1), {}
    for stage, (channels, filters) in enumerate(((3, 16), (16, 32)), start=1):
        for part, depth in (("conv", channels), ("block", filters)):
            name = f"stage{stage}.{part}"
            tensors[f"{name}.conv.weight"] = rng.normal(size=(filters, depth, 3, 3)).astype("float32")
            for tensor in ("weight", "bias", "running_mean", "running_var"):
                tensors[f"{name}.bn.{tensor}"] = rng.uniform(0.5, 1.5, filters).astype("float32")
    tensors["fc.weight"], tensors["fc.bias"] = rng.normal(size=(10, 32)).astype("float32"), np.zeros(10, "float32")
    save_file(tensors, folder / "tinynet.safetensors")
    return tensors


@pytest.mark.slow
def test_the_page_makes_a_model(tmp_path):
    shutil.copytree(house.SOURCES / "zoo", tmp_path / "zoo", ignore=shutil.ignore_patterns("__pycache__"))
    follow(tmp_path)
    tensors = weights(tmp_path)
    environment = {"PYTHONPATH": str(tmp_path), "ZOO_MIRROR": str(tmp_path), "ZOO_CACHE": str(tmp_path / "cache")}
    before = json.loads((tmp_path / "zoo" / "facts.json").read_text())
    (line,) = [line for line in python(CHECK, cwd=tmp_path, **environment).splitlines() if line.startswith('{"package')]
    found = json.loads(line)
    assert found["package"] == str(tmp_path / "zoo" / "__init__.py")
    assert found["parameters"] == 17_274 and found["stages"] == ["stage1", "stage2", "pre_logits"]
    assert found["weights"].endswith("tinynet.safetensors") and found["grey"] == [None, 3]
    assert found["kernel"] == tensors["fc.weight"][3, 5] and found["rejoined"] < 1e-6

    after = json.loads((tmp_path / "zoo" / "facts.json").read_text())
    new = [record for record in after if record["model"] == "tinynet"]
    assert [record for record in after if record not in new] == before and len(new) == 1
    assert new[0]["parameters"] == 17_274
    assert new[0]["stages"] == [["stage1", 2, 16], ["stage2", 4, 32], ["pre_logits", None, 32]]
