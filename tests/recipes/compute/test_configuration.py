"""The user's configuration of Keras: refused by name before Keras is imported, or the right run."""

import json

import commands
import pytest

from recipes.compute import configuration
from recipes.errors import UserError

FINE = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}
FILES = {
    "names the backend 'tensorflwo', on which nothing here runs: did you mean tensorflow?": FINE | {"backend": "tensorflwo"},
    "names the backend 'numpy', on which nothing here runs: choose one of": FINE | {"backend": "numpy"},
    "names the backend 'None', on which": FINE | {"backend": None},
    "has floatx 'bfloat16': Keras knows float16, float32, float64": FINE | {"floatx": "bfloat16"},
    "has image_data_format 'NCHW': Keras knows": FINE | {"image_data_format": "NCHW"},
    "has epsilon 1: it must be a number": FINE | {"epsilon": 1},
    "holds no object of JSON": ["tensorflow"],
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder for keras.json, and no variable of Keras' set."""
    for name in ("KERAS_BACKEND", *configuration.LIMITS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.fault(
    "User configuration",
    "a keras.json with a backend that is none or is not installed, a number format that Keras does not know, or no JSON",
    "The sentence names the file and the setting, before Keras is imported; exit status 2.",
    "Keras raises in its own words, or passes over the whole file without a word.",
)
@pytest.mark.parametrize("sentence", FILES)
def test_a_file_that_keras_cannot_use_is_named(sentence, home):
    (home / "keras.json").write_text(json.dumps(FILES[sentence]))
    with pytest.raises(UserError) as refused:
        configuration.check()
    assert str(refused.value).startswith(str(home / "keras.json")) and sentence in str(refused.value)


def test_a_file_that_is_no_json_or_cannot_be_read_is_named(home):
    (home / "keras.json").write_text("{")
    with pytest.raises(UserError, match="keras.json cannot be read .it is no JSON"):
        configuration.check()
    (home / "keras.json").unlink()
    (home / "keras.json").mkdir()
    with pytest.raises(UserError, match="keras.json cannot be read .Is a directory"):
        configuration.check()


@pytest.mark.fault(
    "User configuration",
    "a misspelt `KERAS_BACKEND`, or one that is not installed",
    "The sentence names the variable and what to set; it is looked at before keras.json.",
    "Keras would end in an ImportError, seconds later.",
)
def test_the_variable_is_looked_at_first(home, monkeypatch):
    (home / "keras.json").write_text(json.dumps(FINE | {"backend": "none"}))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    configuration.check()
    monkeypatch.setenv("KERAS_BACKEND", "")  # Keras takes that for none
    with pytest.raises(UserError, match="keras.json names the backend 'none'"):
        configuration.check()
    monkeypatch.setenv("KERAS_BACKEND", "jaxx")
    with pytest.raises(UserError, match="KERAS_BACKEND names the backend 'jaxx', on .*: did you mean jax?"):
        configuration.check()
    monkeypatch.setattr(configuration.importlib.util, "find_spec", lambda name: name == "torch")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UserError, match="KERAS_BACKEND names the backend jax, which is not installed: set KERAS_BACKEND=torch"):
        configuration.check()
    monkeypatch.delenv("KERAS_BACKEND")
    (home / "keras.json").unlink()
    with pytest.raises(UserError, match="Keras' default names the backend tensorflow, which is not installed"):
        configuration.check()


@pytest.mark.slow
def test_a_variable_that_ends_every_training_early_is_refused(home, monkeypatch):
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    assert "KERAS_MAX_EPOCHS=1 would end every training early: unset it" in commands.refused("describe", "lenet5")


@pytest.mark.slow
@pytest.mark.fault(
    "User configuration",
    "a keras.json with `channels_first`, `float16` and another epsilon, and no home folder that can be written",
    "The run is the one of every other machine, which is said; what ran stands in result.json.",
    "Weights are laid out for channels last, and a head is solved in float32.",
)
def test_a_configuration_of_another_kind_gives_the_same_run(digits, tmp_path):
    settings = FINE | {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 1e-3}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    words = ["finetune", digits, "--model", "lenet5", "--strategy", "small", "--output"]
    commands.zoo(*words, tmp_path / "plain")
    other = commands.zoo(*words, tmp_path / "run", is_fresh=True, KERAS_HOME=str(tmp_path), HOME="/nonexistent")
    assert other.poll() == 0, other.stderr
    assert "note: Keras is configured with floatx float16, epsilon 0.001, image_data_format channels_first" in other.stderr
    assert "Warning" not in other.stderr and "temporary" not in other.stderr
    plain, run = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("plain", "run"))
    assert (run["versions"]["dtype_policy"], run["versions"]["image_data_format"]) == ("float32", "channels_last")
    assert run["metrics"] == plain["metrics"] and run["versions"] == plain["versions"]
    assert (tmp_path / "run" / "files.csv").read_bytes() == (tmp_path / "plain" / "files.csv").read_bytes()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A dozen pictures of two digits."""
    from helpers import few_digits

    return few_digits(tmp_path_factory.mktemp("digits"))


def test_a_builder_under_channels_first_says_so():
    import keras

    import zoo

    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match='lenet5 takes pixels .*: call keras.config.set_image_data_format."channels_last"'):
            zoo.lenet5()
    finally:
        keras.config.set_image_data_format("channels_last")
