"""What a type checker says of a user's script, which finds the package where this one is imported from."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import zoo

pytest.importorskip("mypy", reason="mypy is not installed: what type checkers see of the builders cannot be tested")

# What is wrong is said behind the line.
SCRIPT = """
import zoo
from zoo import mobilenet_v2, vgg16

model = vgg16(num_classes=3, input_shape=(64, 64, 3), weights=None, variant="keras", l2=1e-4, dropout=0.5, activation=None)
mobilenet_v2(alpha=0.5, weights="default", input_shape=(None, None, 1), preprocessing=((0.5,) * 3, (0.5,) * 3))
zoo.get_model("mobilenet_v2", alpha=0.5, num_classes=0)
zoo.get_model("lenet5", modern=True)
bodies = [zoo.split(model, "stage4")[0], zoo.features(model, ["stage2"])]
names: list[str] = zoo.list_models("resnet*") + zoo.stages(model)

vgg16(num_clases=3)  # Unexpected keyword argument "num_clases" for "vgg16"; did you mean "num_classes"?
zoo.get_model("vgg16", num_clases=3)  # Unexpected keyword argument "num_clases" for "get_model"
vgg16(include_top=False)  # Unexpected keyword argument "include_top"
zoo.get_model("vgg16", pretrained=True)  # Unexpected keyword argument "pretrained"
vgg16(alpha=0.5)  # Unexpected keyword argument "alpha"
mobilenet_v2(alpha="wide")  # Argument "alpha" to "mobilenet_v2" has incompatible type "str"; expected "float"
vgg16(num_classes="3")  # Argument "num_classes" to "vgg16" has incompatible type "str"
vgg16(input_shape=(224, 224))  # Argument "input_shape" to "vgg16" has incompatible type "tuple[int, int]"
vgg16(3)  # Too many positional arguments for "vgg16"
"""


@pytest.mark.slow
def test_mypy_finds_what_is_misspelt_and_nothing_else(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    # An editable installation is found by Python through a hook, which type checkers do not run: they look where this leads.
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[1])}
    command = [sys.executable, "-m", "mypy", "--cache-dir", os.devnull, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    told = dict(re.findall(r"^script\.py:(\d+): error: (.*)$", done.stdout, re.M))
    expected = {str(at): line.partition("  # ")[2] for at, line in enumerate(SCRIPT.splitlines(), 1) if "  # " in line}
    assert told.keys() == expected.keys(), done.stdout + done.stderr
    assert all(told[line].startswith(sentence) for line, sentence in expected.items()), done.stdout
