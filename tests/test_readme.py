"""The README's quickstart, run as it stands."""

import json
import re
import shlex

import commands
import numpy as np
import pytest
from helpers import ROOT, python
from PIL import Image

QUICKSTART = re.search(r"## Quickstart\n(.*?)\n## ", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)[1]


@pytest.mark.slow
@pytest.mark.parametrize("code", [c for c in re.findall(r"```python\n(.*?)```", QUICKSTART, re.S) if "load_model" not in c])
def test_the_code(code, tmp_path):
    checks = {
        "vgg16": "assert model.output_shape == (None, 10)",
        "efficientnet_lite0": "assert pixels.shape == (224, 224, 3) and name in zoo.decode(model(pixels[None]), model)[0][4]",
        "mobilenet_v2": "assert body.output_shape[1:] == head.input_shape[1:] and not model.get_layer('Conv1').trainable",
    }
    (check,) = [check for name, check in checks.items() if f"{name}(" in code]
    Image.new("RGB", (50, 50), (200, 30, 30)).save(tmp_path / "new.jpg")
    lines = re.findall(r"^(zoo\.stages.*?)\s+# (.*)$", code, re.M)
    shown = "".join(f"\nprint({line})" for line, _ in lines)
    printed = python(f"{code}\n{check}{shown}", cwd=tmp_path, PYTHONPATH=str(ROOT)).splitlines()
    for (_, said), line in zip(lines, printed[len(printed) - len(lines) :], strict=True):
        first, last = said.split(" ..., ")
        assert line.startswith(first) and line.endswith(last)


@pytest.mark.slow
def test_the_commands(tmp_path):
    """On two colours, with the weights that are installed with the project: where a mirror is asked, there is nothing."""
    rng = np.random.default_rng(0)
    for label, color in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(10):
            noise = rng.integers(-25, 26, (80, 60, 3))
            Image.fromarray(np.uint8(color + noise)).save(tmp_path / "photos" / label / f"{i}.jpg")
    (tmp_path / "more").mkdir()
    for name in ("new.jpg", "more/other.jpg"):
        Image.new("RGB", (50, 50), (200, 30, 30)).save(tmp_path / name)
    environment = {"ZOO_MIRROR": str(tmp_path / "nowhere"), "ZOO_CACHE": str(tmp_path / "cache")}
    out = ""
    (lines,) = re.findall(r"```sh\n(.*?)```", QUICKSTART, re.S)
    for line in lines.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "zoo"
        done = commands.zoo(*arguments, cwd=tmp_path, **environment)
        assert done.poll() == 0, done.stderr
        out += done.stdout
    tried = json.loads((tmp_path / "runs/photos/result.json").read_text())["strategy"]["facts"]["rehearsals"]
    least = {one["strategy"]: min(other["loss"] for other in tried if other["strategy"] == one["strategy"]) for one in tried}
    said = re.findall(r"^trial of (\w+)(?:, \d+% of the way)?: loss ([\d.]+), accuracy .* held out, \d+ s$", out, re.M)
    assert said and said == [(strategy, f"{loss:.4f}") for strategy, loss in least.items()]
    assert (tmp_path / "runs" / "photos" / "report.html").exists() and re.search(r"^test +4  \d+\.\d% \(", out, re.M)
    assert len(re.findall(r"^(new|more/other)\.jpg  red [\d.]+", out, re.M)) == 2
