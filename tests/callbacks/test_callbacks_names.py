"""`from callbacks import NAME`: every name is there, no callback is missing, and Keras is imported when one is asked for."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import keras
import pytest
from helpers import ROOT

import callbacks


@pytest.mark.parametrize("name", callbacks.__all__)
def test_every_name_is_there(name):
    assert getattr(callbacks, name) is not None and name in dir(callbacks)


def test_every_public_class_and_function_has_its_name():
    modules = {module.name for module in pkgutil.iter_modules(callbacks.__path__)}
    public = {
        name: value
        for module in map(importlib.import_module, (f"callbacks.{module}" for module in modules))
        for name, value in vars(module).items()
        if inspect.isclass(value) or inspect.isfunction(value)
        if value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert sum(issubclass(value, keras.callbacks.Callback) for value in public.values() if inspect.isclass(value)) > 8
    assert set(public) <= set(callbacks.__all__)
    assert all(getattr(callbacks, name) is value for name, value in public.items())


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(ImportError, match="cannot import name 'L3Scheduler' from 'callbacks'"):
        from callbacks import L3Scheduler  # noqa: F401


def test_the_import_is_cheap():
    code = "import sys, callbacks; print(sorted({'keras', 'numpy', 'zoo'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
