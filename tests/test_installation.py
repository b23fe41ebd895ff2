"""The two ways to install require the same, but for TensorFlow."""

import configparser

from helpers import ROOT


def test_the_requirements_without_tensorflow_are_those_of_the_package():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    required = settings["options"]["install_requires"].split("\n")
    lines = (ROOT / "requirements-without-tensorflow.txt").read_text().splitlines()
    expected = [line for line in required if line and not line.startswith("tensorflow>")]
    assert [line for line in lines if not line.startswith("#")] == expected
    assert "requirements-without-tensorflow.txt" in (ROOT / "README.md").read_text()
    assert any(line.startswith("six") for line in lines)  # KerasTuner imports it and does not declare it
