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


def test_every_callback_and_curve_has_its_name():
    modules = [importlib.import_module(f"callbacks.{module.name}") for module in pkgutil.iter_modules(callbacks.__path__)]
    kinds = (keras.callbacks.Callback, callbacks.Curve, keras.optimizers.Optimizer)
    public = {
        value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, kinds) and value.__module__ == module.__name__ and name[0] != "_"
    }
    assert len(public) > 12
    assert {kind.__name__ for kind in public} <= set(callbacks.__all__)
    assert all(getattr(callbacks, kind.__name__) is kind for kind in public)


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(ImportError, match="cannot import name 'L3Scheduler' from 'callbacks'"):
        from callbacks import L3Scheduler  # noqa: F401


def test_the_import_is_cheap():
    code = "import sys, callbacks; print(sorted({'keras', 'numpy', 'zoo'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
